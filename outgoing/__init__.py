"""Calls to addresses that somebody typed: nowhere inside, bounded in size and time, without following anywhere else."""
