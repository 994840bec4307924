"""What is raised for our own mistakes. Bad input is never an exception: it is a diagnostic."""


class InternalError(Exception):
    """Something that can only be a fault in meshc; the command line asks the user to report it."""
