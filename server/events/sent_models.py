"""The payload of every event that the server sends: described here, built by the feature that it belongs to."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from server.access.texts import RoleName
from server.events.models import MessageAction
from server.presence.shown_state import PresenceState
from server.presence.tracker import UserState


class Sent(BaseModel):
    """What the server sends; later versions may say more."""

    model_config = ConfigDict(extra="allow")


class SentInRoom(Sent):
    """`room`: its canonical name."""

    room: str


class Kept(SentInRoom):
    """What is kept for those who come back. `event_seq`: its place, for `last_seq` of `join_room`."""

    event_seq: int | None = None


class Ack(Sent):
    """What was asked for is done, and saved. What else stands here is in docs/events.md, by what was asked."""


class Error(Sent):
    """Nothing was done."""

    code: str
    reason: str
    room: str | None = None


class TextPlaceSent(Sent):
    """In a file's text, all counts from 0: `column` in UTF-16 units, `code_points` the same in code points."""

    line: int
    column: int
    code_points: int


class CursorPlace(Sent):
    """Where the ends of a cursor are that sticks to characters, as editors have it."""

    anchor: TextPlaceSent | None = None
    head: TextPlaceSent | None = None


class Present(Sent):
    """Somebody in a room, with all devices. `agent`: a program that acts by itself."""

    user_id: int
    name: str | None
    color: str | None = None
    avatar: str | None = None
    agent: dict[str, Any] | None = None
    state: PresenceState
    typing: bool
    activity: str | None = None
    cursor: Any = None
    place: CursorPlace | None = None


class UserJoined(Present):
    """The first device of a user is here."""

    room: str


class AboutUser(SentInRoom):
    """Of one user in a room."""

    user_id: int


class PresenceUpdate(AboutUser):
    """What somebody is doing has changed. `offline`: in `global`, where nobody joins or leaves."""

    state: UserState
    activity: str | None = None


class CursorMoved(AboutUser):
    """As its owner's program has put it; null: none any more."""

    cursor: Any
    place: CursorPlace | None = None


class MessageSent(Kept):
    """The author is the envelope's `sender_id`. `seq`: its place in the chat, which is the order to show.

    Of a deleted message the body is empty. Times are ISO 8601.
    `agent`: name and run of the program that wrote it, if it was one.
    """

    id: str
    seq: int
    action: MessageAction
    body: str
    reply_to: str | None = None
    mentions: list[int] = []
    sent_at: str | None = None
    server_time: str
    edited_at: str | None = None
    deleted: bool = False
    agent: dict[str, Any] | None = None


class Status(Sent):
    """All messages up to `seq` have this status with this user; `sent`: they are saved."""

    user_id: int
    status: Literal["sent", "delivered", "read"]
    seq: int


class MessageStatus(SentInRoom):
    """Many at once; each stands for all before it."""

    statuses: list[Status]


class ChangedLines(BaseModel):
    """Lines [start, end) of the text of that version, from 0; where lines only went, an empty range."""

    start: int
    end: int


class ChangedFile(BaseModel):
    """`file_id`: null for a folder. `path`: where it is, or was last; `old_path`: where it was before.

    `wanted_path`: what somebody asked for, but it is taken, or another has renamed the file at the same time.
    """

    file_id: str | None
    path: str
    old_path: str | None = None
    wanted_path: str | None = None


class FileUpdated(SentInRoom):
    """What its sender has changed in a file (`action`), at most one a second for each file and author; or what has
    become of files (`change`), all that was done at once. As it is saved.

    `agent`: name and run of the program that wrote it, if it was one.
    """

    action: Literal["changed"] | None = None
    file_id: str | None = None
    path: str | None = None
    version: str | None = None
    lines: list[ChangedLines] = []
    added: int = 0
    removed: int = 0
    change: Literal["created", "renamed", "deleted", "restored", "collided"] | None = None
    files: list[ChangedFile] = []
    agent: dict[str, Any] | None = None


class Notification(Sent):
    """Something that its user should see. `kind`: mention, unread, system and others; those that are stored have an
    `id` and say how many are `unread`.
    """

    kind: str
    text: str | None = None
    room: str | None = None
    id: int | None = None
    actor_id: int | None = None
    message_id: str | None = None
    seq: int | None = None
    count: int | None = None
    data: dict[str, Any] = {}
    created_at: str | None = None
    unread: int | None = None


class LockChanged(SentInRoom):
    """`holder_id`: null if nobody holds the lock any more. Of sessions `expires_at` is null.

    `held` is for whoever has written to the locked file: that waits for the end of the lock.
    """

    path: str
    holder_id: int | None
    expires_at: str | None = None
    change: Literal["acquired", "renewed", "transferred", "moved", "released", "expired", "forced", "held"]
    kind: Literal["session", "lease", "standing"]
    lock_id: int
    fence: int


class Conflict(SentInRoom):
    """Two have changed the same lines of a file, and neither had seen the other; or somebody has resolved that."""

    path: str
    conflict_ids: list[int]
    authors: list[int] = []
    resolution: Literal["yours", "theirs", "merged"] | None = None


class PermissionChanged(Sent):
    """A role in a room has changed (with `none` the room is left), or the token is about to end."""

    room: str | None = None
    role: RoleName | None = None
    reason: Literal["token_expires"] | None = None
    expires_at: str | None = None


class Pong(Sent):
    """The answer to `ping`."""


SERVER_EVENTS: Mapping[str, type[BaseModel]] = {
    "ack": Ack,
    "error": Error,
    "message": MessageSent,
    "message_status": MessageStatus,
    "typing_start": AboutUser,
    "typing_stop": AboutUser,
    "presence_update": PresenceUpdate,
    "user_joined": UserJoined,
    "user_left": AboutUser,
    "cursor": CursorMoved,
    "file_update": FileUpdated,
    "notification": Notification,
    "lock_changed": LockChanged,
    "conflict": Conflict,
    "permission_changed": PermissionChanged,
    "pong": Pong,
}
"""Type -> payload of what the server sends."""


# What an `ack` holds


class ConnectAck(Ack):
    """`protocol`: the version of this protocol. `unread_notifications`: how many wait for the user."""

    user_id: int
    name: str
    expires_at: str
    server_time: str
    protocol: Literal[1] = 1
    unread_notifications: int


class JoinAck(Ack):
    """`last_seq`: of the last event of the room when it was joined. `gap`: not all that was missed is kept: `rest`
    is where to read it. `unread`: messages that others wrote after the read mark, in chats.
    """

    room: str
    role: RoleName
    members: list[Present]
    last_seq: int
    gap: bool
    rest: str | None = None
    unread: int | None = None
