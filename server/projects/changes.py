"""Changes of what rights stand on: made in the store, then told to the doorkeeper."""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from crdt_store.update_log import LogUnavailable
from server.access.doorkeeper import Doorkeeper
from server.rooms.names import RoomKind, RoomName, parse_room_name


class Numbered(Protocol):
    """A project, workspace or chat of the store."""

    @property
    def id(self) -> int: ...


N = TypeVar("N", bound=Numbered)


def room_of(kind: RoomKind, number: int) -> RoomName:
    """The room of a project, workspace or chat."""
    return parse_room_name(f"{kind}:{number}", plain_names_workspace_id=None)


async def created(door: Doorkeeper, kind: RoomKind, creation: Awaitable[N]) -> N:
    """What has been created: until now its room belonged to no project, and somebody may be in it."""
    try:
        thing = await creation
    except LogUnavailable:  # it may be there all the same
        door.room_changed(None)
        raise
    door.room_changed(room_of(kind, thing.id))
    return thing


@contextmanager
def deleting(door: Doorkeeper, room: RoomName) -> Iterator[None]:
    """Around a deletion: however it ends, it may have been stored."""
    try:
        yield
    finally:
        door.room_changed(room)


@contextmanager
def changing_user(door: Doorkeeper, user_id: int) -> Iterator[None]:
    """The same around a change of a user's membership."""
    try:
        yield
    finally:
        door.user_changed(user_id)
