"""Which chats a caller may read: one that is named, some, those of a project, or all that are the caller's own."""

from collections.abc import AsyncIterator, Iterable
from typing import Annotated, NamedTuple

from fastapi import Depends, Path

from auth.grants import Action, Grant, Role
from crdt_store.messages import Messages
from server.access.callers import Caller, Door, parse_room, require
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.access.roles import Place
from server.projects.changes import room_of
from server.projects.entry import enter
from server.rooms.names import BadRoomName, RoomKind, RoomName, parse_room_name

MAX_PROJECTS, MAX_CHATS = 200, 1000
"""That are looked at where none is named."""


class Reader(NamedTuple):
    """Somebody who may read the chat."""

    room: RoomName
    user_id: int


class Chats(NamedTuple):
    """Ids of chats that the caller may read; not `complete`: there may be more."""

    ids: list[int]
    complete: bool


async def _reader(caller: Caller, door: Door, number: Annotated[str, Path(alias="id")]) -> Reader:
    room = parse_room(f"{RoomKind.CHAT}:{number}", None)
    await require(door, caller, room, Action.READ)
    return Reader(room, caller.user_id)


ChatReader = Annotated[Reader, Depends(_reader)]
"""The chat whose number is `{id}` in the path; it may be in no project."""


async def one_chat(door: Doorkeeper, identity: Identity, chat_id: int) -> Chats:
    """Raises ApiError, LogUnavailable."""
    await require(door, identity, room_of(RoomKind.CHAT, chat_id), Action.READ)
    return Chats([chat_id], complete=True)


async def readable_chats(door: Doorkeeper, identity: Identity, chat_ids: Iterable[int]) -> Chats:
    """Of these, each once; that others are left out is no news to anybody. Raises LogUnavailable."""
    rooms = [room_of(RoomKind.CHAT, chat_id) for chat_id in dict.fromkeys(chat_ids)]
    return Chats([room.id for room in rooms if _may_read(await door.role_in(identity, room))], complete=True)


async def chats_of_project(door: Doorkeeper, identity: Identity, project_id: int) -> Chats:
    """Raises ApiError where the project is not the caller's to read; LogUnavailable."""
    await enter(door, identity, room_of(RoomKind.PROJECT, project_id), Action.READ)
    return await _gather(_in_project(door, identity, project_id, MAX_CHATS + 1), complete=True)


async def own_chats(door: Doorkeeper, identity: Identity, messages: Messages) -> Chats:
    """Those that the token's grants name, those of the caller's projects, and those of which the caller has got
    something. Raises LogUnavailable.
    """
    found = await door.stores.projects.projects_of(identity.user_id, limit=MAX_PROJECTS + 1)
    project_ids = [project.id for project, _ in found]
    return await _gather(
        _own_chats(door, identity, messages, project_ids[:MAX_PROJECTS]),
        complete=len(project_ids) <= MAX_PROJECTS,
    )


_Looked = AsyncIterator[tuple[int, bool]]
"""Ids of chats, and whether the caller may read them."""


async def _gather(looked_at: _Looked, *, complete: bool) -> Chats:
    found: dict[int, bool] = {}
    async for chat_id, may_read in looked_at:
        if len(found) == MAX_CHATS and chat_id not in found:
            complete = False
            break
        found[chat_id] = may_read
    return Chats([chat_id for chat_id, may_read in found.items() if may_read], complete)


async def _own_chats(
    door: Doorkeeper, identity: Identity, messages: Messages, project_ids: Iterable[int]
) -> _Looked:
    seen: set[int] = set()
    for project_id in project_ids:
        async for chat in _in_project(door, identity, project_id, MAX_CHATS + 1):
            seen.add(chat[0])
            yield chat
    known = await messages.chats_of(identity.user_id, MAX_CHATS + 1)
    for room in (*_granted_by_name(identity), *(room_of(RoomKind.CHAT, chat_id) for chat_id in known)):
        if room.id not in seen:  # each costs a look into the database
            seen.add(room.id)
            yield room.id, _may_read(await door.role_in(identity, room))


async def _in_project(door: Doorkeeper, identity: Identity, project_id: int, limit: int) -> _Looked:
    place = Place(project_id)
    for chat in await door.stores.projects.chats_in(project_id, limit=limit):
        role = await door.role_at(identity, room_of(RoomKind.CHAT, chat.id), place)
        yield chat.id, _may_read(role)


def _granted_by_name(identity: Identity) -> list[RoomName]:
    """A pattern with a `*` names no chat: there is no list of all that match."""
    rooms = []
    for pattern in identity.principal.grants or ():
        try:
            room = parse_room_name(pattern, plain_names_workspace_id=None)
        except BadRoomName:
            continue
        if room.kind is RoomKind.CHAT:
            rooms.append(room)
    return rooms


def _may_read(role: Role) -> bool:
    return Grant(role).allows(Action.READ)
