"""The one exception that a user is meant to read."""


class FlexbenchError(Exception):
    """Bad input, told in one line: the file or key, what was found, what is allowed.

    The command line prints the message and exits with 1; anything else that escapes is a bug.
    """
