"""The payload of every event that clients send: bounded in size, and refused where it says anything else."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from server.access.texts import Body, Key
from server.presence.small_json import small_json

MAX_BODY_BYTES = 16 * 1024
MAX_TOKEN_CHARACTERS = 16 * 1024
MAX_MENTIONS = 100
MAX_FILE_EDITS = 1000
_MAX_SEQ = 2**53 - 1  # what JavaScript can count to


def storable(text: str) -> str:
    """A text that every database and every reader takes. Raises ValueError."""
    if "\0" in text or any(unicodedata.category(character) == "Cs" for character in text):
        raise ValueError("must have no NUL, nor half a surrogate pair")
    return text


def _short_enough(text: str) -> str:
    if len(storable(text).encode()) > MAX_BODY_BYTES:
        raise ValueError(f"must have at most {MAX_BODY_BYTES} bytes")
    return text


def _whole(text: str) -> str:
    if any(unicodedata.category(character) == "Cs" for character in text):
        raise ValueError("must have no half of a surrogate pair")
    return text


Room = Annotated[str, Field(min_length=1, max_length=600), AfterValidator(storable)]
Seq = Annotated[int, Field(ge=0, le=_MAX_SEQ)]
UserId = Annotated[int, Field(ge=1, le=_MAX_SEQ)]
MessageBody = Annotated[str, Field(max_length=MAX_BODY_BYTES), AfterValidator(_short_enough)]
Moment = Annotated[str, StringConstraints(max_length=64), AfterValidator(storable)]
Path = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(storable)]
Offset = Annotated[int, Field(ge=0, le=_MAX_SEQ)]
FileText = Annotated[str, AfterValidator(_whole)]
Cursor = Annotated[Any, AfterValidator(small_json)]
MessageAction = Literal["send", "edit", "delete", "react", "unreact"]


class InRoom(Body):
    """`room`: its name, as in docs/wire.md."""

    room: Room


class Connect(Body):
    """A token, where the address or the header bore none; or a fresh one, of the same user."""

    token: Annotated[str, Field(max_length=MAX_TOKEN_CHARACTERS), AfterValidator(storable)] | None = None


class Nothing(Body):
    """No payload."""


class JoinRoom(InRoom):
    """`last_seq`: of the last event of this room that the client has; those after it are sent.

    `away`: here, but not at the keyboard. Joining again changes that.
    """

    last_seq: Seq | None = None
    away: bool = False


class Message(InRoom):
    """`id`: the client's own, a UUID: sent again, it is the same message. `sent_at`: by the client's clock.

    `edit` and `delete` are for one's own. `react` and `unreact` name whose message it is in `author_id`.
    """

    id: Key
    action: MessageAction = "send"
    body: MessageBody | None = None
    reply_to: Key | None = None
    mentions: Annotated[list[UserId], Field(max_length=MAX_MENTIONS)] = []
    sent_at: Moment | None = None
    author_id: UserId | None = None
    reaction: Annotated[str, Field(min_length=1, max_length=32), AfterValidator(storable)] | None = None


class ReadUpTo(InRoom):
    """All messages of the chat up to this one."""

    seq: Seq


class ShowCursor(InRoom):
    """Any JSON that the readers of this room understand; null: none.

    In a file `{"line", "column"}`, or `{"anchor", "head"}` of such, is shown by editors too; `code_points` may stand
    for `column`, which counts UTF-16 units. All count from 0.
    """

    cursor: Cursor


class FileEdit(Body):
    """Replaces [start, end)."""

    start: Offset
    end: Offset
    text: FileText = ""


class FileUpdate(InRoom):
    """A change of the file at `path` as it was at that `version`: its whole `text`, or `edits` that do not overlap.

    `room`: of its workspace. `unit`: what the offsets of edits count.
    """

    path: Path
    version: Annotated[str, Field(min_length=1, max_length=100)]
    text: FileText | None = None
    edits: Annotated[list[FileEdit], Field(max_length=MAX_FILE_EDITS)] | None = None
    unit: Literal["utf16", "codepoint"] = "utf16"

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.text is None) == (self.edits is None):
            raise ValueError("either text or edits")
        return self


CLIENT_EVENTS: Mapping[str, type[Body]] = {
    "connect": Connect,
    "disconnect": Nothing,
    "join_room": JoinRoom,
    "leave_room": InRoom,
    "message": Message,
    "message_delivered": ReadUpTo,
    "message_read": ReadUpTo,
    "typing_start": InRoom,
    "typing_stop": InRoom,
    "cursor": ShowCursor,
    "file_update": FileUpdate,
    "ping": Nothing,
}
"""Type -> payload of what clients send."""
