"""What is to be said once the log is committed up to some position."""

from bisect import bisect_right
from collections.abc import Callable


class AfterCommit:
    """Actions in the order of the positions they wait for."""

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._actions: list[Callable[[], None]] = []

    def add(self, position: int, action: Callable[[], None]) -> None:
        """`position` never goes back from one call to the next."""
        self._positions.append(position)
        self._actions.append(action)

    def run_through(self, position: int) -> None:
        """Do what waited for this position or an earlier one."""
        count = bisect_right(self._positions, position)
        due = self._actions[:count]
        del self._positions[:count], self._actions[:count]
        done = 0
        try:
            for done, action in enumerate(due, start=1):  # noqa: B007
                action()
        finally:  # a fault of one is no reason to forget the others
            self._positions[:0] = [position] * (len(due) - done)
            self._actions[:0] = due[done:]
