"""The one error of the operator's commands that is none of the parts' they use."""


class Refused(Exception):
    """What a command was asked for cannot be done; nothing was. The message says why, in one line."""
