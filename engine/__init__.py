"""The connection to Temporal: client, encryption of everything that enters it, search attributes, schedules."""
