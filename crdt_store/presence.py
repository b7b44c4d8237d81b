"""Who is online and who was here last, as the database knows it: of all nodes, and right after any of them crashed.

A node says that it is alive every `BEAT_SECONDS`. Who is online is written under the node that holds the connection,
so that what a dead node has left is found by the others, and by itself when it comes back.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy import (
    Connection,
    String,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    union,
    update,
)

from crdt_store.database import Database
from crdt_store.places import in_chunks
from crdt_store.tables import (
    chats,
    memberships,
    online_users,
    possible_id,
    presence_nodes,
    projects,
    users,
    workspaces,
)

BEAT_SECONDS = 10.0
LEASE_SECONDS = 30.0
"""A node of which nothing was heard for so long is dead."""


class Seen(NamedTuple):
    """A user has come, or has gone: at that time. `room`: where the user was last, if anywhere."""

    user_id: int
    is_online: bool
    at_ms: int
    room: str | None = None


class StoredPresence(NamedTuple):
    """`is_online`: on another node than the one that asks. `last_room`: where the user was last."""

    user_id: int
    name: str
    is_online: bool
    last_seen: datetime | None
    last_room: str | None
    is_invisible: bool


class PresenceStore:
    """What one node, under its own `node_id`, writes and reads. All raise LogUnavailable."""

    def __init__(self, database: Database, node_id: str) -> None:
        self._database = database
        self._node_id = node_id

    async def begin(self, now_ms: int) -> frozenset[int]:
        """The node is alive, and nobody is online here; who wants to be invisible."""
        await self._database.write(partial(_begin, node_id=self._node_id, now_ms=now_ms))
        return await self._database.read(_invisible)

    async def save(self, seen: Sequence[Seen]) -> None:
        """All of it in one transaction; of a user the last one counts."""
        await self._database.write(partial(_save, node_id=self._node_id, seen=seen))

    async def beat(self, now_ms: int) -> bool:
        """Say that the node is alive, and clear up after those that are not.

        False if the others took this node for dead: who is online here is to be saved again.
        """
        return await self._database.write(partial(_beat, node_id=self._node_id, now_ms=now_ms))

    async def end(self) -> None:
        """The node stops; who is online here was saved as gone, or is now."""
        await self._database.write(partial(_end, node_id=self._node_id))

    async def set_invisible(self, user_id: int, *, is_invisible: bool) -> None:
        """Whether the user wants to be offline for all others."""
        await self._database.write(partial(_set_invisible, user_id=user_id, is_invisible=is_invisible))

    async def of(self, user_ids: Iterable[int]) -> dict[int, StoredPresence]:
        """By id; of whom there is none, nothing."""
        wanted = [possible_id(user_id) for user_id in user_ids]
        return await self._database.read(partial(_of, node_id=self._node_id, user_ids=wanted))

    async def people_of(self, project_id: int, *, limit: int, after: int = 0) -> list[int]:
        """Who has a role in the project, or in a workspace or chat of it: by id, from above `after`."""
        people = partial(_people_of, project_id=project_id, limit=limit, after=after)
        return await self._database.read(people)


def live_nodes(connection: Connection, now_ms: int) -> list[str]:
    """The nodes that have said of late that they are alive."""
    is_alive = presence_nodes.c.alive_at_ms >= now_ms - int(LEASE_SECONDS * 1000)
    return list(connection.scalars(select(presence_nodes.c.node_id).where(is_alive)))


def _begin(connection: Connection, node_id: str, now_ms: int) -> None:
    _end(connection, node_id)
    connection.execute(insert(presence_nodes), {"node_id": node_id, "alive_at_ms": now_ms})


def _beat(connection: Connection, node_id: str, now_ms: int) -> bool:
    is_this = presence_nodes.c.node_id == node_id
    is_known = connection.execute(update(presence_nodes).where(is_this).values(alive_at_ms=now_ms)).rowcount
    if not is_known:
        connection.execute(insert(presence_nodes), {"node_id": node_id, "alive_at_ms": now_ms})
    is_dead = presence_nodes.c.alive_at_ms < now_ms - int(LEASE_SECONDS * 1000)
    dead = select(presence_nodes.c.node_id).where(is_dead).order_by(presence_nodes.c.node_id)
    for each in connection.scalars(dead.with_for_update(skip_locked=True)).all():
        _end(connection, each)
    return bool(is_known)


def _end(connection: Connection, node_id: str) -> None:
    """Whoever is still online on this node was so when it was alive last."""
    is_node = presence_nodes.c.node_id == node_id
    alive_at_ms = connection.scalar(select(presence_nodes.c.alive_at_ms).where(is_node).with_for_update())
    if alive_at_ms is None:
        return
    on_node = select(online_users.c.user_id).where(online_users.c.node_id == node_id)
    left = connection.scalars(on_node).all()
    _save(connection, node_id, [Seen(user_id, False, alive_at_ms) for user_id in left])
    connection.execute(delete(presence_nodes).where(is_node))


_COME = text(
    "INSERT INTO online_users (node_id, user_id) VALUES (:node_id, :user_id) ON CONFLICT DO NOTHING"
).bindparams(bindparam("node_id"), bindparam("user_id"))
_GO = delete(online_users).where(
    online_users.c.node_id == bindparam("node"), online_users.c.user_id == bindparam("user")
)
_NOTE = (
    update(users)
    .where(users.c.id == bindparam("user_id"))
    .values(
        is_online=exists().where(online_users.c.user_id == users.c.id),
        last_seen=bindparam("at"),
        last_room=func.coalesce(bindparam("room"), users.c.last_room),
    )
)


def _save(connection: Connection, node_id: str, seen: Sequence[Seen]) -> None:
    # In order, and locked first: what other nodes write of the same users is seen, and nobody waits in a circle.
    latest = [each for _, each in sorted({each.user_id: each for each in seen}.items())]
    for chunk in in_chunks(latest):
        ids = [each.user_id for each in chunk]
        lock = select(users.c.id).where(users.c.id.in_(ids)).order_by(users.c.id)
        connection.execute(lock.with_for_update(key_share=True))
        come = [{"node_id": node_id, "user_id": each.user_id} for each in chunk if each.is_online]
        gone = [{"node": node_id, "user": each.user_id} for each in chunk if not each.is_online]
        if come:
            connection.execute(_COME, come)
        if gone:
            connection.execute(_GO, gone)
        connection.execute(
            _NOTE, [{"user_id": each.user_id, "at": _time(each.at_ms), "room": each.room} for each in chunk]
        )


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _invisible(connection: Connection) -> frozenset[int]:
    return frozenset(connection.scalars(select(users.c.id).where(users.c.is_invisible)))


def _set_invisible(connection: Connection, user_id: int, is_invisible: bool) -> None:
    is_user = users.c.id == possible_id(user_id)
    connection.execute(update(users).where(is_user).values(is_invisible=is_invisible))


def _of(connection: Connection, node_id: str, user_ids: Sequence[int]) -> dict[int, StoredPresence]:
    elsewhere = exists().where(online_users.c.user_id == users.c.id, online_users.c.node_id != node_id)
    query = select(
        users.c.id, users.c.name, elsewhere, users.c.last_seen, users.c.last_room, users.c.is_invisible
    )
    found: dict[int, StoredPresence] = {}
    for chunk in in_chunks(user_ids):
        for record in connection.execute(query.where(users.c.id.in_(chunk))):
            found[record.id] = StoredPresence(*record)
    return found


def _people_of(connection: Connection, project_id: int, limit: int, after: int) -> list[int]:
    in_project = [
        select(literal(f"{kind}:") + cast(table.c.id, String)).where(column == possible_id(project_id))
        for kind, table, column in (
            ("project", projects, projects.c.id),
            ("workspace", workspaces, workspaces.c.project_id),
            ("chat", chats, chats.c.project_id),
        )
    ]
    query = select(memberships.c.user_id).distinct().where(memberships.c.scope.in_(union(*in_project)))
    query = query.where(memberships.c.role > 0, memberships.c.user_id > after)
    return list(connection.scalars(query.order_by(memberships.c.user_id).limit(limit)))
