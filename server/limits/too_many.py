"""The one refusal of this package."""


class TooMany(Exception):
    """A limit is reached; the message is for whoever met it and ends in the setting's name."""

    def __init__(self, limit_name: str, text: str, wait_seconds: float = 0.0) -> None:
        """`wait_seconds`: after so long there is room again; 0.0 if nobody knows."""
        super().__init__(f"{text} ({limit_name})")
        self.limit_name = limit_name
        self.wait_seconds = wait_seconds
