"""What a lock is, and which locks are in each other's way. PURE.

A lock holds for its path and for all below it, whether anything is there or not. So two locks overlap where one
path is the other, or above it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Lock:
    """As it is stored. `expires_at_ms`: the first moment at which it holds no more; None: it does not end by itself.

    `fence` grows with every acquisition in its workspace. `ttl_ms`: what a renewal is good for. `node_id`: of a
    session's lock, the server that its holder is connected to.
    """

    id: int
    workspace_id: int
    path: str
    kind: str
    holder_id: int
    fence: int
    ttl_ms: int | None
    acquired_at_ms: int
    expires_at_ms: int | None
    node_id: str | None
    holder_name: str

    def is_live(self, now_ms: int) -> bool:
        """Whether it holds at this moment."""
        return self.expires_at_ms is None or now_ms < self.expires_at_ms

    def overlaps(self, path: str) -> bool:
        """Whether it is in the way of a lock on this path of the same workspace."""
        return is_within(path, self.path) or is_within(self.path, path)


class LockEvent(StrEnum):
    """What has become of a lock."""

    ACQUIRED = "acquired"
    RENEWED = "renewed"
    TRANSFERRED = "transferred"
    RELEASED = "released"
    EXPIRED = "expired"
    FORCED = "forced"
    MOVED = "moved"

    @property
    def ends(self) -> bool:
        """Whether it is gone now."""
        return self in (LockEvent.RELEASED, LockEvent.EXPIRED, LockEvent.FORCED)


class LockChange(NamedTuple):
    """`lock` as it is now; one that is gone, as it was last. `before`: what a transfer, or a move to
    another path, has replaced.

    `actor_id`: who did it; None: time did, or another server, and then nobody here knows who.
    """

    event: LockEvent
    lock: Lock
    actor_id: int | None
    before: Lock | None = None


class NoSuchLock(Exception):
    """There is no lock of this id, or it has expired."""


class NotHolder(Exception):
    """The lock is somebody else's."""


class LockTaken(Exception):
    """`lock` is in the way. `waiting`: the users who wait for it to end, first come, first in the list."""

    def __init__(self, lock: Lock, waiting: Sequence[int]) -> None:
        super().__init__(f"{lock.path} is locked by user {lock.holder_id}")
        self.lock = lock
        self.waiting = waiting


class TooManyLocks(Exception):
    """The user holds, or waits for, as many as one may."""


class WantedLock(NamedTuple):
    """`path` is normalised. `expires_at_ms`: None where it is not to end by itself, and then `ttl_ms` is too."""

    workspace_id: int
    path: str
    kind: str
    holder_id: int
    ttl_ms: int | None
    expires_at_ms: int | None
    node_id: str | None = None


class Beat(NamedTuple):
    """When a lock is to end now; if it is that of a session, on which server that is known."""

    lock: Lock
    expires_at_ms: int
    node_id: str | None


def is_within(path: str, folder: str) -> bool:
    """Whether `path` is `folder`, or below it."""
    return path == folder or path.startswith(folder + "/")


def with_parents(path: str) -> Iterator[str]:
    """`a/b/c`, `a/b`, `a`."""
    while path:
        yield path
        path = path.rpartition("/")[0]
