"""What users want to be told of in chats: everything, what is meant for them, or nothing."""

from collections.abc import Iterable
from enum import IntEnum

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from crdt_store.places import in_chunks
from crdt_store.prepared import Prepared
from crdt_store.tables import notification_preferences as preferences

MAX_ROOMS = 1000
"""In which one user may want something else than by default."""

EVERYWHERE = ""
"""Stands for all rooms that a user has said nothing of."""


class Level(IntEnum):
    """`MENTIONS`: mentions and replies, which is what is wanted of who has never said."""

    MUTE = 0
    MENTIONS = 1
    ALL = 2


_OF_ROOM = preferences.c.room.in_((bindparam("room"), bindparam("everywhere")))
_WANTED = Prepared(select(exists().where(_OF_ROOM, preferences.c.level == bindparam("level"))))


def is_wanted(connection: Connection, room: str) -> bool:
    """Whether there may be anybody who wants to be told of everything in the room."""
    parameters = {"room": room, "everywhere": EVERYWHERE, "level": int(Level.ALL)}
    return bool(_WANTED.fetch(connection, parameters)[0][0])


def levels_of(connection: Connection, room: str, user_ids: Iterable[int]) -> dict[int, Level]:
    """What each of these users wants in the room."""
    found = dict.fromkeys(user_ids, Level.MENTIONS)
    for chunk in in_chunks(sorted(found)):
        query = select(preferences.c.user_id, preferences.c.level).where(
            preferences.c.user_id.in_(chunk), preferences.c.room.in_((EVERYWHERE, room))
        )
        # What is said of the room comes last: '' is before every name.
        for user_id, level in connection.execute(query.order_by(preferences.c.room)):
            found[user_id] = Level(level)
    return found


def followers(connection: Connection, room: str) -> tuple[list[int], list[int]]:
    """Who wants everything of just this room; who wants everything everywhere, and has said nothing of this one."""
    said = select(preferences.c.user_id).where(preferences.c.room == room)
    query = select(preferences.c.user_id).where(preferences.c.level == int(Level.ALL))
    here = query.where(preferences.c.room == room)
    everywhere = query.where(preferences.c.room == EVERYWHERE, preferences.c.user_id.not_in(said))
    return list(connection.scalars(here)), list(connection.scalars(everywhere))


def read_preferences(connection: Connection, user_id: int) -> dict[str, Level]:
    """By room, in order, as far as the user has said anything."""
    query = select(preferences.c.room, preferences.c.level).where(preferences.c.user_id == user_id)
    return {room: Level(level) for room, level in connection.execute(query.order_by(preferences.c.room))}


def set_preference(connection: Connection, user_id: int, room: str, level: Level | None) -> bool:
    """None: as by default. False, and nothing done, if the user has said something of too many rooms."""
    is_it = preferences.c.user_id == user_id, preferences.c.room == room
    if level is None:
        connection.execute(delete(preferences).where(*is_it))
        return True
    if connection.execute(update(preferences).where(*is_it).values(level=int(level))).rowcount:
        return True
    count = select(func.count()).select_from(preferences).where(preferences.c.user_id == user_id)
    if connection.scalar(count) >= MAX_ROOMS:  # type: ignore[operator]
        return False
    connection.execute(insert(preferences), {"user_id": user_id, "room": room, "level": int(level)})
    return True
