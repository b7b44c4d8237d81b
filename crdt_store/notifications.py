"""What each user was notified of: listed, counted, marked as read and put away."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, update

from crdt_store.database import Database
from crdt_store.message_rows import bounded
from crdt_store.notifications_adding import unread_of
from crdt_store.notifications_jobs import Broadcast, enqueue_broadcast
from crdt_store.notifications_preferences import EVERYWHERE, Level, read_preferences, set_preference
from crdt_store.tables import messages, notifications


@dataclass(frozen=True, slots=True)
class Notification:
    """`count`: of how much it stands for. `message_uuid`, `seq`: of the message that it is about, of `actor_id`.

    `text` is that of the message as it is now, None if it is deleted; of others what the payload says.
    """

    id: int
    user_id: int
    kind: str
    room: str
    actor_id: int | None
    payload: Mapping[str, Any]
    count: int
    created_at_ms: int
    read_at_ms: int | None
    archived: bool
    message_uuid: str | None
    seq: int | None
    text: str | None


class Notifications:
    """Those of a database. All raise LogUnavailable; ids may be any that a client sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, user_id: int, *, unread: bool = False, archived: bool = False, before: int | None, limit: int
    ) -> list[Notification]:
        """The user's newest, or those with an id below `before`; newest first.

        `unread`: only those. `archived`: those that were put away, instead of the others.
        """
        return await self._database.read(
            partial(
                _page, user_id=user_id, unread=unread, archived=archived, before=bounded(before), limit=limit
            )
        )

    async def unread(self, user_id: int) -> int:
        """How many the user has not read."""
        found = await self._database.read(partial(unread_of, user_ids=[user_id]))
        return found[user_id]

    async def mark_read(self, user_id: int, notification_id: int, now_ms: int) -> int | None:
        """How many are unread now; None if the user has none of this id."""
        return await self._database.write(
            partial(_mark_one, user_id=user_id, notification_id=notification_id, now_ms=now_ms, archive=False)
        )

    async def archive(self, user_id: int, notification_id: int, now_ms: int) -> int | None:
        """Put it away, and have it read; as `mark_read`."""
        return await self._database.write(
            partial(_mark_one, user_id=user_id, notification_id=notification_id, now_ms=now_ms, archive=True)
        )

    async def mark_all_read(self, user_id: int, up_to: int | None, now_ms: int) -> int:
        """All of the user's, or those with an id of at most `up_to`; how many are unread now."""
        return await self._database.write(
            partial(_mark_all, user_id=user_id, up_to=bounded(up_to), now_ms=now_ms)
        )

    async def preferences(self, user_id: int) -> tuple[Level, dict[str, Level]]:
        """What the user wants by default, and by room."""
        found = await self._database.read(partial(read_preferences, user_id=user_id))
        return found.pop(EVERYWHERE, Level.MENTIONS), found

    async def prefer(self, user_id: int, room: str, level: Level | None) -> bool:
        """As `set_preference`. Raises Conflict where the same is set at the same moment."""
        return await self._database.write(partial(set_preference, user_id=user_id, room=room, level=level))

    async def broadcast(self, broadcast: Broadcast, now_ms: int) -> None:
        """Have all users notified; returns once that is certain to happen."""
        await self._database.write(partial(enqueue_broadcast, broadcast=broadcast, now_ms=now_ms))


_NAMES = [name for name in Notification.__dataclass_fields__ if name not in ("message_uuid", "seq", "text")]
_FIELDS = [notifications.c[name] for name in _NAMES]
_SHOWN: Select[Any] = select(
    *_FIELDS, messages.c.uuid, messages.c.seq, messages.c.body, messages.c.deleted
).select_from(notifications.outerjoin(messages, notifications.c.message_id == messages.c.id))


def _page(
    connection: Connection, user_id: int, unread: bool, archived: bool, before: int, limit: int
) -> list[Notification]:
    query = _SHOWN.where(notifications.c.user_id == user_id, notifications.c.id < before)
    query = query.where(notifications.c.archived.is_(archived))
    if unread:
        query = query.where(notifications.c.read_at_ms.is_(None))
    records = connection.execute(query.order_by(notifications.c.id.desc()).limit(max(limit, 0)))
    return [_notification(*record) for record in records]


def _notification(*record: Any) -> Notification:
    uuid, body, deleted = record[-4], record[-2], record[-1]
    fields: dict[str, Any] = dict(zip(_NAMES, record, strict=False))
    said = json.loads(fields["payload"])
    text = said.pop("text", None) if uuid is None else None if deleted else body
    return Notification(
        **(fields | {"payload": said, "archived": bool(fields["archived"])}),
        message_uuid=uuid,
        seq=record[-3],
        text=text,
    )


def _mark_one(
    connection: Connection, user_id: int, notification_id: int, now_ms: int, archive: bool
) -> int | None:
    is_it = _is_users(user_id), notifications.c.id == bounded(notification_id)
    change = (
        update(notifications).where(*is_it).values(_as_read(now_ms) | ({"archived": True} if archive else {}))
    )
    if connection.execute(change).rowcount == 0:
        return None
    return unread_of(connection, [user_id])[user_id]


def _mark_all(connection: Connection, user_id: int, up_to: int, now_ms: int) -> int:
    is_unread = notifications.c.read_at_ms.is_(None), notifications.c.id <= up_to
    connection.execute(update(notifications).where(_is_users(user_id), *is_unread).values(_as_read(now_ms)))
    return unread_of(connection, [user_id])[user_id]


def _as_read(now_ms: int) -> dict[str, Any]:
    """It stays read when it was read first."""
    return {"read_at_ms": func.coalesce(notifications.c.read_at_ms, now_ms)}


def _is_users(user_id: int) -> ColumnElement[bool]:
    return notifications.c.user_id == user_id
