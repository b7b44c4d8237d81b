"""When others are told that somebody types, or types no more. Pure: the clock comes in as an argument."""

TYPING_SECONDS = 6.0
"""Who says nothing more types no longer: word of the end may be lost."""

INTERVAL_SECONDS = 2.0
"""Others are told no more often than this."""


class TypingRule:
    """Of one user in one room. After each change `due_seconds` says when to `take` again."""

    __slots__ = ("_shown_at_seconds", "_until_seconds", "is_shown")

    def __init__(self) -> None:
        self.is_shown = False
        self._until_seconds = float("-inf")
        self._shown_at_seconds = float("-inf")

    def until(self, seconds: float) -> None:
        """Somebody types until then, unless told otherwise: by this clock; inf: for good, -inf: no more."""
        self._until_seconds = seconds

    def take(self, now_seconds: float) -> bool | None:
        """What to tell the others now; None: nothing."""
        if self._is_typing(now_seconds) == self.is_shown or self._wait_seconds(now_seconds) > 0:
            return None
        self.is_shown = not self.is_shown
        self._shown_at_seconds = now_seconds
        return self.is_shown

    def due_seconds(self, now_seconds: float) -> float | None:
        """After how long there may be something to tell; None: not before the next change."""
        if self._is_typing(now_seconds) != self.is_shown:
            return self._wait_seconds(now_seconds)
        is_endless = self._until_seconds == float("inf")
        return self._until_seconds - now_seconds if self.is_shown and not is_endless else None

    def _is_typing(self, now_seconds: float) -> bool:
        return now_seconds < self._until_seconds

    def _wait_seconds(self, now_seconds: float) -> float:
        return max(0.0, self._shown_at_seconds + INTERVAL_SECONDS - now_seconds)
