"""When what is being gathered may leave: at once while it comes piece by piece, in windows while much comes.

PURE: times come in, as seconds of any clock that does not go back.
"""

from math import sqrt

_WORTH_A_WINDOW = 1.5
"""Pieces in a window: with fewer, waiting would gather nothing."""

_PAUSE_SECONDS = 0.25
_REVIEW_SECONDS, _RETRY_SECONDS = 0.5, 1.0
_DEVIATIONS = 4
"""So many standard deviations less than at the rate before (of a Poisson process) are no chance."""


class Pace:
    """What leaves first after a pause does so at once, and its rate is measured; where it is worth it, windows open.

    Windows close again where they slow down those who send: whoever waits for the answer to one piece before it sends
    the next would be served once a window, and nothing would be gathered.
    """

    __slots__ = ("_count", "_has_windows", "_last", "_no_windows_before", "_rate", "_since")

    def __init__(self) -> None:
        self._has_windows = False
        self._last = self._since = self._no_windows_before = float("-inf")
        self._count = 0
        self._rate = 0.0

    def wait_seconds(self, now: float, window_seconds: float) -> float:
        """How long what has been gathered has to wait; 0 for not at all."""
        if not self._has_windows:
            return 0.0
        return max(0.0, self._last + window_seconds - now)

    def left(self, now: float, count: int, window_seconds: float) -> None:
        """So many pieces leave together now."""
        if now - self._last > max(_PAUSE_SECONDS, window_seconds):
            self._begin(now, 0, has_windows=False)
        else:
            self._count += count
            self._review(now, window_seconds)
        self._last = now

    def _review(self, now: float, window_seconds: float) -> None:
        seconds = now - self._since
        if not self._has_windows:
            if 0 < window_seconds <= seconds:
                is_worth_it = self._count * window_seconds >= _WORTH_A_WINDOW * seconds
                self._begin(now, seconds, has_windows=is_worth_it and now >= self._no_windows_before)
            return
        expected = self._rate * seconds
        if self._count + _DEVIATIONS * sqrt(expected) < expected:
            self._no_windows_before = now + _RETRY_SECONDS
            self._begin(now, seconds, has_windows=False)
        elif seconds >= _REVIEW_SECONDS:
            self._begin(now, seconds, has_windows=self._count * window_seconds >= _WORTH_A_WINDOW * seconds)

    def _begin(self, now: float, seconds: float, *, has_windows: bool) -> None:
        self._rate = self._count / seconds if seconds else 0.0
        self._has_windows = has_windows
        self._since = now
        self._count = 0
