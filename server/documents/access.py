"""Who asks for which document over HTTP, and whether they may."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from auth.grants import Action
from server.access.callers import Caller, Door, parse_room, require
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.api_errors import ApiError, ErrorCode
from server.rooms.names import RoomName
from server.settings import Settings


class Access(NamedTuple):
    """A document's room, who asks for it, and what they want to do."""

    room: RoomName
    identity: Identity
    action: Action


def access(settings: Settings, action: Action) -> Callable[[Caller, Door, str], Awaitable[Access]]:
    """A dependency that lets through who may do `action` to the document of the path. Raises ApiError."""

    async def check(caller: Caller, door: Door, room: str) -> Access:
        name = parse_room(room, settings.plain_names_workspace_id)
        if not name.has_document:  # whoever asks
            raise ApiError(ErrorCode.NOT_FOUND, f"{name} has no document")
        await require(door, caller, name, action)
        return Access(name, caller, action)

    return check


async def recheck(door: Doorkeeper, settings: Settings, given: Access) -> None:
    """Whether what was let through still may, after its body has taken its time. Raises ApiError, LogUnavailable."""
    identity = given.identity
    if door.is_revoked(identity):
        raise ApiError(ErrorCode.UNAUTHORIZED, "token refused: it has been revoked")
    if door.now_seconds() >= identity.principal.expires_at_seconds + settings.jwt_leeway_seconds:
        raise ApiError(ErrorCode.UNAUTHORIZED, "token refused: it has expired")
    await require(door, identity, given.room, given.action)
