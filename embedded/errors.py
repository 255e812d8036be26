"""What stops the one-command mode and is for the user to repair."""


class StartError(Exception):
    """One sentence for the user, that says what is wrong and what to do. The command line prints it and ends with code 1."""
