"""Which documents a command is about."""

from collections.abc import AsyncIterator, Sequence

from crdt_store.update_log import UpdateLog
from server.operator.errors import Refused
from server.rooms.names import BadRoomName, RoomName, parse_room_name
from server.settings import Settings

_NAMES_AT_ONCE = 1000


async def all_documents(log: UpdateLog) -> AsyncIterator[str]:
    """The names of all that there are, in order. Raises LogUnavailable."""
    last = ""
    while names := await log.documents(limit=_NAMES_AT_ONCE, after=last):
        for name in names:
            yield name
        last = names[-1]


async def chosen_documents(log: UpdateLog, settings: Settings, rooms: Sequence[str]) -> list[str]:
    """The names of the documents of these rooms, of all if none is named. Raises Refused, LogUnavailable."""
    if not rooms:
        return [name async for name in all_documents(log)]
    names = [document_room(room, settings).canonical for room in rooms]
    for name in names:
        if not await log.exists(name):
            raise Refused(f"no room {name}")
    return names


def document_room(room: str, settings: Settings) -> RoomName:
    """The room of that name, which has a document. Raises Refused."""
    try:
        name = parse_room_name(room, plain_names_workspace_id=settings.default_workspace_id)
    except BadRoomName as error:
        raise Refused(f"{room!r} names no room: {error}") from error
    if not name.has_document:
        raise Refused(f"{room} has no document")
    return name
