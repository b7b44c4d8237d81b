"""How fast somebody may go. PURE: the clock comes in as an argument."""


class TokenBucket:
    """So many units a second on average, and up to `burst` of them at once after a rest."""

    __slots__ = ("_burst", "_rate_per_second", "_seen_seconds", "_tokens")

    def __init__(self, rate_per_second: float, burst: float) -> None:
        """Raises ValueError unless both are positive."""
        if not (rate_per_second > 0 and burst > 0):
            raise ValueError("a bucket needs a positive rate and a positive burst")
        self._rate_per_second = rate_per_second
        self._burst = burst
        self._tokens = burst
        self._seen_seconds = 0.0

    def spend(self, amount: float, now_seconds: float) -> float:
        """Take `amount`: 0.0 if it was there, else how many seconds to wait until what was taken is paid for.

        It is taken in any case. An amount of 0 only asks. A clock that is set back gives nothing and takes nothing.
        """
        tokens = self._tokens
        elapsed = now_seconds - self._seen_seconds
        if elapsed:
            self._seen_seconds = now_seconds
            if elapsed > 0:
                tokens += elapsed * self._rate_per_second
                if tokens > self._burst:
                    tokens = self._burst
        self._tokens = tokens = tokens - amount
        return 0.0 if tokens >= 0 else -tokens / self._rate_per_second
