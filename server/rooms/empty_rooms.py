"""The open rooms that nobody is in: kept for a while, for who comes back, as far as a budget of memory goes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from server.rooms.room import Room


@dataclass(frozen=True, slots=True)
class _Stay:
    size_bytes: int
    timer: asyncio.TimerHandle


class EmptyRooms:
    """Each is closed after `linger_seconds`; the least recently used ones sooner, as soon as all take too much."""

    def __init__(self, close: Callable[[Room], None], *, linger_seconds: float, max_bytes: int) -> None:
        """`close` is called once a room has been taken out."""
        self._close = close
        self._linger_seconds = linger_seconds
        self._max_bytes = max_bytes
        self._stays: dict[Room, _Stay] = {}  # the least recently used first
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._stays)

    def add(self, room: Room, size_bytes: int) -> None:
        """A room that was in use until now."""
        self.discard(room)
        timer = asyncio.get_running_loop().call_later(self._linger_seconds, self._end, room)
        self._stays[room] = _Stay(size_bytes, timer)
        self.size_bytes += size_bytes
        while self.size_bytes > self._max_bytes:
            self._end(next(iter(self._stays)))

    def discard(self, room: Room) -> None:
        """It is in use, or closed."""
        stay = self._stays.pop(room, None)
        if stay is not None:
            stay.timer.cancel()
            self.size_bytes -= stay.size_bytes

    def take_all(self) -> list[Room]:
        """Take out every room, the least recently used first; closing them is the caller's."""
        rooms = list(self._stays)
        for room in rooms:
            self.discard(room)
        return rooms

    def _end(self, room: Room) -> None:
        self.discard(room)
        self._close(room)
