"""How much memory rooms may take: those that nobody is in, and all of the process."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from server.rooms.process_memory import available_bytes, resident_bytes

_ROOM_BYTES = 16 * 1024
"""With an empty document it takes 14 KB."""

_BYTES_PER_STORED_BYTE = 16
"""Of a snapshot the engine takes 7 to 23 bytes for each (recorded typing 7 to 9, text with a tombstone between any
two words 23, maps and XML 22), of updates as they came 0.4 to 16."""

_PROCESS_SHARE = 0.75
"""Of what there is: the rest is for the process that makes snapshots, and for open rooms, which may go on growing."""


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """Two limits. `stored_bytes`: what an open document has in the store; `used_bytes`: what the process takes."""

    max_empty_rooms_bytes: int
    max_process_bytes: int
    stored_bytes: Callable[[str], int]
    used_bytes: Callable[[], int | None] = resident_bytes

    def room_bytes(self, name: str) -> int:
        """About what the open room of that name takes."""
        return _ROOM_BYTES + _BYTES_PER_STORED_BYTE * self.stored_bytes(name)

    def is_spent(self, rooms: Iterable[str]) -> bool:
        """Whether the process takes more than it may; where that is unknown, the sum over its rooms counts."""
        used = self.used_bytes()
        if used is None:
            used = sum(map(self.room_bytes, rooms))
        return used > self.max_process_bytes


def default_process_bytes() -> int:
    """What the process may take if nothing else is set."""
    return int(available_bytes() * _PROCESS_SHARE)
