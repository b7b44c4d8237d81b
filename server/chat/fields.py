"""What a message and a reaction look like: the table of fields, and the grammar of a reaction's key."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from server.chat.judgement import Fault, Kind

MAX_BODY_BYTES = 16 * 1024
MAX_MENTIONS = 1000
MAX_EMOJI_CHARACTERS = 32
_MAX_USER_ID = 2**53 - 1
_TIME_CHARACTERS = range(16, 41)

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_REACTION = re.compile(
    rf"({_UUID.pattern}):([1-9][0-9]{{0,15}}):([^\s\x00-\x1f\x7f]{{1,{MAX_EMOJI_CHARACTERS}}})"
)

Check = Callable[[object], Fault | None]


class Field(NamedTuple):
    """A key of a message's map. `check` is None where only the server writes.

    `is_required`: without it there is no message; `is_fixed`: it is set before there is one, and stays.
    """

    values: str
    check: Check | None
    is_required: bool = False
    is_fixed: bool = False


class ReactionKey(NamedTuple):
    """What `{message_id}:{user_id}:{emoji}` says."""

    message_id: str
    user_id: int
    emoji: str

    def __str__(self) -> str:
        return f"{self.message_id}:{self.user_id}:{self.emoji}"


def read_reaction_key(key: str) -> ReactionKey | None:
    """None if it is none. The emoji may have colons of its own."""
    match = _REACTION.fullmatch(key)
    return None if match is None else ReactionKey(match[1], int(match[2]), match[3])


def is_user_id(value: object) -> bool:
    """Whether it is a positive integer (a bool or a bigint is none)."""
    return type(value) is int and 0 < value <= _MAX_USER_ID


def is_message_id(value: object) -> bool:
    """Whether it is the text of a UUID, in either case."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _wrong(wanted: str) -> Fault:
    return Fault(Kind.WRONG_TYPE, f"must be {wanted}")


def _check(wanted: str, is_right: Callable[[object], bool]) -> Check:
    fault = _wrong(wanted)
    return lambda value: None if is_right(value) else fault


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or len(value) not in _TIME_CHARACTERS:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _check_body(value: object) -> Fault | None:
    if not isinstance(value, str):
        return _wrong("text")
    if len(value) * 4 > MAX_BODY_BYTES and len(value.encode()) > MAX_BODY_BYTES:
        return Fault(Kind.TOO_LARGE, f"may have {MAX_BODY_BYTES} bytes of UTF-8")
    return None


def _check_mentions(value: object) -> Fault | None:
    if not isinstance(value, list) or not all(map(is_user_id, value)):
        return _wrong("a plain list of user ids")
    if len(value) > MAX_MENTIONS:
        return Fault(Kind.TOO_LARGE, f"may name {MAX_MENTIONS} users")
    return None


_IS_ID = _check("a UUID as text", is_message_id)
_IS_REPLY = _check("a message's id, or null", lambda value: value is None or is_message_id(value))
_IS_TIME = _check("a time as ISO 8601 text", _is_time)
_IS_TRUE = _check("true", lambda value: value is True)

FIELDS = {
    "id": Field("UUID as text, new among the sender's", _IS_ID, is_required=True, is_fixed=True),
    "sender_id": Field(
        "the author's user id", _check("a user id", is_user_id), is_required=True, is_fixed=True
    ),
    "body": Field(f"text, up to {MAX_BODY_BYTES} bytes of UTF-8", _check_body, is_required=True),
    "sent_at": Field("time as ISO 8601 text", _IS_TIME, is_fixed=True),
    "reply_to": Field("id of another message, or null", _IS_REPLY, is_fixed=True),
    "edited_at": Field("time as ISO 8601 text", _IS_TIME),
    "deleted": Field("true", _IS_TRUE),
    "mentions": Field(f"plain list of user ids, up to {MAX_MENTIONS}", _check_mentions),
    "seq": Field("place in the thread's order", None),
    "server_time": Field("time as ISO 8601 text", None),
}

REQUIRED = tuple(key for key, field in FIELDS.items() if field.is_required)
