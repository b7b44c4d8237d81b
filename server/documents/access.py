"""Who asks for which document over HTTP, and whether they may."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from auth.grants import Action
from server.access.callers import Caller, Door, parse_room, require
from server.access.identity import Identity
from server.api_errors import ApiError, ErrorCode
from server.rooms.names import RoomName
from server.settings import Settings


class Access(NamedTuple):
    """A document's room, and who asks for it."""

    room: RoomName
    identity: Identity


def access(settings: Settings, action: Action) -> Callable[[Caller, Door, str], Awaitable[Access]]:
    """A dependency that lets through who may do `action` to the document of the path. Raises ApiError."""

    async def check(caller: Caller, door: Door, room: str) -> Access:
        name = parse_room(room, settings.plain_names_workspace_id)
        await require(door, caller, name, action)
        if not name.has_document:
            raise ApiError(ErrorCode.NOT_FOUND, f"{name} has no document")
        return Access(name, caller)

    return check
