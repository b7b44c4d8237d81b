"""What is to be said once the log is committed up to some position."""

from collections import deque
from collections.abc import Callable


class AfterCommit:
    """Actions in the order of the positions they wait for."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    def add(self, position: int, action: Callable[[], None]) -> None:
        """`position` never goes back from one call to the next."""
        self._waiting.append((position, action))

    def run_through(self, position: int) -> None:
        """Do what waited for this position or an earlier one."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= position:
            waiting.popleft()[1]()
