"""When something has to be looked at again. Pure: the clock comes in as an argument."""

import heapq
from typing import Generic, TypeVar

K = TypeVar("K")


class Deadlines(Generic[K]):
    """One for each key, the nearest that was set since it was last taken; each costs O(log n)."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, K]] = []
        self._at_seconds: dict[K, float] = {}
        self._count = 0  # keys need no order

    def set(self, key: K, at_seconds: float) -> None:
        """Take the key then, or sooner."""
        if at_seconds < self._at_seconds.get(key, float("inf")):
            self._at_seconds[key] = at_seconds
            self._count += 1
            heapq.heappush(self._queue, (at_seconds, self._count, key))

    def next_seconds(self) -> float | None:
        """When the first is due; None: there is none."""
        while self._queue and self._at_seconds.get(self._queue[0][2]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def take(self, now_seconds: float) -> list[K]:
        """The keys that are due, each once."""
        due = []
        while (next_seconds := self.next_seconds()) is not None and next_seconds <= now_seconds:
            _, _, key = heapq.heappop(self._queue)
            del self._at_seconds[key]
            due.append(key)
        return due
