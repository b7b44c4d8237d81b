"""Notifications as JSON clients hear of them (docs/notifications.md). PURE."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crdt_store.notifications_adding import Added


def iso(at_ms: int) -> str:
    """ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def told(added: Added, unread: int) -> Mapping[str, Any]:
    """The payload of a `notification` event; `unread`: of the user.

    Without the text of a message, which not every connection of the user may read.
    """
    notice = added.notice
    data = dict(notice.payload)
    return {
        "kind": notice.kind,
        "id": added.id,
        "room": notice.room,
        "actor_id": notice.actor_id,
        "text": data.pop("text", None),
        "message_id": None if notice.message is None else notice.message.uuid,
        "seq": None if notice.message is None else notice.message.seq,
        "count": added.count,
        "data": data,
        "created_at": iso(added.created_at_ms),
        "unread": unread,
    }


def told_read(notification_id: int | None, unread: int) -> Mapping[str, Any]:
    """The payload that tells the user's devices what one of them has read; None: all."""
    return {"kind": "notification_read", "id": notification_id, "unread": unread}
