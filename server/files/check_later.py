"""Has a change looked at for conflicts, once it is stored: written with it, so that no crash comes between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crdt_store.conflict_checks import ConflictCheck, enqueue_check, is_newest
from crdt_store.effects import Connection
from crdt_store.held_edits import discard_held
from server.files.version import digest_of
from server.rooms.names import RoomKind, RoomName
from server.rooms.unseen import Lacked, write_lacked


@dataclass(eq=False)
class CheckLater:
    """An `Effect`: has a change looked at, not before `due_at_ms`, and forgets edits that were held until now.

    `seen_seq`: the row that its author has read, if it is a certain one: where that was the newest there is nothing
    to be looked at. `is_asked`: once it is stored, whether there is. `wake`: whoever looks at it.
    """

    check: ConflictCheck
    due_at_ms: int
    seen_seq: int | None = None
    held_ids: Sequence[int] = ()
    wake: Callable[[], None] | None = None
    is_asked: bool = False

    def store(self, connection: Connection) -> None:
        document, seq = self.check.document, self.seen_seq
        self.is_asked = seq is None or not is_newest(connection, document, seq)
        if self.is_asked:
            enqueue_check(connection, self.check, self.due_at_ms)
        discard_held(connection, self.held_ids)

    def committed(self) -> None:
        if self.is_asked and self.wake is not None:
            self.wake()


class Returns:
    """A `rooms.unseen.OnReturn`: has looked at what somebody brings who was away. `wake` is set once it is there."""

    wake: Callable[[], None]

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    def __call__(
        self, name: RoomName, epoch: int, user_id: int, update: bytes, lacked: Lacked
    ) -> Sequence[CheckLater]:
        if name.kind is not RoomKind.FILE:
            return ()
        digest, vector = digest_of(update), write_lacked(lacked).hex()
        check = ConflictCheck(name.canonical, epoch, user_id, digest, write_id_of(digest), lacked=vector)
        return [CheckLater(check, self._now_ms(), wake=self.wake)]


def write_id_of(digest: str) -> int:
    """What names the conflicts of an update of this digest: 53 bits."""
    return int(digest, 16) >> 11
