"""What somebody may not write for now, since another has locked the document: it is kept until the lock ends."""

from typing import TYPE_CHECKING, Protocol

from server.protocol.merge_updates import merge_updates
from server.rooms.gate import Verdict
from server.rooms.member import Member
from server.rooms.names import RoomName
from server.rooms.unseen import Lacked

if TYPE_CHECKING:
    from server.rooms.room import Room


class Holding(Protocol):
    """Who knows of locks, and keeps edits durably."""

    def blocks(self, name: RoomName, user_id: int) -> bool:
        """Whether somebody else has locked it."""

    def keep(self, room: "Room", member: Member, update: bytes, lacked: Lacked | None) -> None:
        """Keep what a member brings, outside of the document; `lacked`: what it had not seen, if it comes back."""


class NoLocks:
    """A `Holding` where nothing is ever locked."""

    def blocks(self, name: RoomName, user_id: int) -> bool:
        return False

    def keep(self, room: "Room", member: Member, update: bytes, lacked: Lacked | None) -> None: ...


NO_LOCKS = NoLocks()


def to_be_held(verdict: Verdict) -> bytes | None:
    """What the document lacks of an update that was judged; None: nothing."""
    parts = [part for part in (verdict.ready, verdict.rest) if part is not None]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else merge_updates(parts)
