"""Notifications and preferences as the API shows them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from crdt_store.notifications import Notification
from crdt_store.notifications_preferences import Level
from server.access.texts import Body

_MAX_TEXT_CHARACTERS = 4000
_MAX_ROOM_CHARACTERS = 1024

LevelName = Literal["mute", "mentions", "all"]


class NotificationModel(BaseModel):
    """`message_id`, `seq`: of the message of `actor_id` that it is about; `text`: what that says now.

    `text` is null where the message is deleted, or the room is not the caller's to read any more.
    """

    id: int
    kind: str
    room: str
    actor_id: int | None
    text: str | None
    message_id: str | None
    seq: int | None
    count: int
    data: dict[str, Any]
    created_at: datetime
    read_at: datetime | None
    archived: bool

    @classmethod
    def of(cls, found: Notification, *, may_read: bool) -> Self:
        return cls(
            id=found.id,
            kind=found.kind,
            room=found.room,
            actor_id=found.actor_id,
            text=found.text if may_read else None,
            message_id=found.message_uuid,
            seq=found.seq,
            count=found.count,
            data=dict(found.payload) if may_read else {},
            created_at=_time(found.created_at_ms),
            read_at=None if found.read_at_ms is None else _time(found.read_at_ms),
            archived=found.archived,
        )


class NotificationPage(BaseModel):
    """`next_before` is the `before` to ask the next page with; null on the last one."""

    items: list[NotificationModel]
    next_before: int | None


class UnreadCount(BaseModel):
    """How many the caller has not read."""

    unread: int


class PreferencesModel(BaseModel):
    """What the caller wants to be told of: by default, and in rooms of which something else was said."""

    default: LevelName
    rooms: dict[str, LevelName]

    @classmethod
    def of(cls, default: Level, rooms: dict[str, Level]) -> Self:
        return cls(
            default=level_name(default), rooms={room: level_name(level) for room, level in rooms.items()}
        )


class PreferenceRequest(Body):
    """`room`: a chat; null: all chats that have no level of their own. `level`: null has it as by default."""

    room: Annotated[str, Field(min_length=1, max_length=_MAX_ROOM_CHARACTERS)] | None = None
    level: LevelName | None


class BroadcastRequest(Body):
    """What everybody is to be told."""

    text: Annotated[str, Field(min_length=1, max_length=_MAX_TEXT_CHARACTERS)]


def level_name(level: Level) -> LevelName:
    """As the API says it."""
    names: dict[Level, LevelName] = {Level.MUTE: "mute", Level.MENTIONS: "mentions", Level.ALL: "all"}
    return names[level]


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
