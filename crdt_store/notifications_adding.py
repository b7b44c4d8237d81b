"""Notifications as they are made: plain functions, in the transaction of the job that they come from.

A user gets each once, by its key; what counts up is one for as long as it is not read.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Integer, String, bindparam, cast, func, select, text, update

from crdt_store.message_rows import StoredMessage, storable
from crdt_store.places import in_chunks
from crdt_store.tables import notifications

_LISTED = {
    "sqlite": "SELECT value FROM json_each(:user_ids)",
    "postgresql": "SELECT CAST(value AS bigint)"
    " FROM json_array_elements_text(CAST(CAST(:user_ids AS text) AS json))",
}
_ONCE = "DO NOTHING"
# One that was read a moment ago begins anew.
_COUNTED = (
    "DO UPDATE SET actor_id = excluded.actor_id, message_id = excluded.message_id, payload = excluded.payload,"
    " count = excluded.count + CASE WHEN notifications.read_at_ms IS NULL THEN notifications.count ELSE 0 END,"
    " read_at_ms = NULL, archived = false"
)


def _inserting(dialect: str, on_conflict: str) -> Any:
    columns = "kind, room, actor_id, message_id, payload, count, dedupe_key, created_at_ms"
    statement = (
        f"INSERT INTO notifications (user_id, {columns})"
        f" SELECT id, {', '.join(f':{name}' for name in columns.split(', '))}"
        f" FROM users WHERE id IN ({_LISTED[dialect]}) ORDER BY id"
        f" ON CONFLICT (user_id, dedupe_key) {on_conflict} RETURNING id, user_id, count, created_at_ms"
    )
    types: dict[str, Any] = dict.fromkeys(("user_ids", "kind", "room", "payload", "dedupe_key"), String())
    types |= {
        "actor_id": Integer(),
        "count": Integer(),
        "message_id": BigInteger(),
        "created_at_ms": BigInteger(),
    }
    return text(statement).bindparams(*(bindparam(name, type_=type_) for name, type_ in types.items()))


_ADD = {dialect: _inserting(dialect, _ONCE) for dialect in _LISTED}
_COUNT_UP = {dialect: _inserting(dialect, _COUNTED) for dialect in _LISTED}


class Notice(NamedTuple):
    """What there is to be told. `payload` holds what JSON holds; `message`: whose text is to be shown."""

    kind: str
    room: str
    actor_id: int | None
    dedupe_key: str
    payload: Mapping[str, Any] = {}
    message: StoredMessage | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """A notice, as it was stored for one user."""

    notice: Notice
    id: int
    user_id: int
    count: int
    created_at_ms: int


def add(connection: Connection, notice: Notice, user_ids: Collection[int], now_ms: int) -> list[Added]:
    """Store it for those of these users who have none of this key yet; these come back."""
    return _run(connection, _ADD, notice, user_ids, 1, now_ms)


def count_up(
    connection: Connection, notice: Notice, user_ids: Collection[int], number: int, now_ms: int
) -> list[Added]:
    """Count `number` more in each user's unread notification of this key, and begin one where there is none."""
    read = (
        update(notifications)
        .where(notifications.c.dedupe_key == notice.dedupe_key, notifications.c.read_at_ms.is_not(None))
        .values(dedupe_key=notifications.c.dedupe_key + ":" + cast(notifications.c.id, String()))
    )
    for chunk in in_chunks(sorted(user_ids)):
        connection.execute(read.where(notifications.c.user_id.in_(chunk)))
    return _run(connection, _COUNT_UP, notice, user_ids, number, now_ms)


def unread_of(connection: Connection, user_ids: Iterable[int]) -> dict[int, int]:
    """How many each of these users has not read."""
    found = dict.fromkeys(user_ids, 0)
    for chunk in in_chunks(sorted(found)):
        query = select(notifications.c.user_id, func.count()).group_by(notifications.c.user_id)
        unread = query.where(notifications.c.user_id.in_(chunk), notifications.c.read_at_ms.is_(None))
        found.update((user_id, count) for user_id, count in connection.execute(unread))
    return found


def _run(
    connection: Connection,
    statements: Mapping[str, Any],
    notice: Notice,
    user_ids: Collection[int],
    count: int,
    now_ms: int,
) -> list[Added]:
    if not user_ids:
        return []
    parameters = {
        "user_ids": json.dumps(sorted(user_ids)),
        "kind": notice.kind,
        "room": storable(notice.room),
        "actor_id": notice.actor_id,
        "message_id": None if notice.message is None else notice.message.id,
        "payload": json.dumps(dict(notice.payload)),
        "count": count,
        "dedupe_key": storable(notice.dedupe_key),
        "created_at_ms": now_ms,
    }
    found = connection.execute(statements[connection.dialect.name], parameters)
    return sorted((Added(notice, *record) for record in found), key=lambda added: added.user_id)
