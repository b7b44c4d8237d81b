"""What judging an update comes to: what goes on, what is put right, what was refused and what is new."""

from typing import NamedTuple

from server.protocol.structs import Id
from server.replica.judging import Refusal
from server.replica.reasons import Reason


class Kind(Reason):
    """Why something was refused."""

    DUPLICATE = "duplicate", "the sender has a message of this id already; nothing to be told, it is a resend"
    FORGED_SENDER = "forged_sender", "`sender_id` is not its author's user id"
    NOT_YOURS = "not_yours", "a message or reaction of another user"
    SERVER_ONLY = "server_only", "only the server writes this"
    FIXED = "fixed", "a field that stays as it was first set"
    WRONG_TYPE = "wrong_type", "not a value that may stand there; shared types may stand nowhere in a message"
    TOO_LARGE = "too_large", "a value over its limit"
    UNKNOWN = "unknown", "a field or root that a thread does not have, or a key that is none of a reaction"
    NOT_A_MESSAGE = "not_a_message", "something in `messages` that is not a Y.Map"
    MESSAGE_REMOVED = "message_removed", "a message taken out of `messages`; set its `deleted` instead"
    FIELD_REMOVED = (
        "field_removed",
        "a field, reaction or value taken away; it may be set anew by who may write it",
    )
    IS_DELETED = "is_deleted", "an edit of a deleted message"
    GONE = "gone", "it hangs on what is deleted or was refused"
    TANGLED = "tangled", "it stands among too many concurrent insertions"


class Fault(NamedTuple):
    """What is wrong with a value."""

    kind: Kind
    text: str


class Message(NamedTuple):
    """A message as it stands in the thread. `item` is the id of its map in the array."""

    item: Id
    message_id: str
    sender_id: int
    body: str
    sent_at: str | None
    reply_to: str | None
    edited_at: str | None
    is_deleted: bool
    mentions: tuple[int, ...]
    seq: int | None
    server_time: str | None


class Sent(NamedTuple):
    """A new message."""

    message: Message


class Edited(NamedTuple):
    """A message of which these fields have changed."""

    message: Message
    fields: tuple[str, ...]


class Tombstoned(NamedTuple):
    """A message that its author has deleted; it stays in its place."""

    message: Message


class Reacted(NamedTuple):
    """A user's reaction, set or taken back."""

    message_id: str
    user_id: int
    emoji: str
    is_set: bool


News = Sent | Edited | Tombstoned | Reacted


class Judgement(NamedTuple):
    """`accepted`: what to apply, store and pass on of the update, None if nothing. `correction`: the server's own
    update to be applied after it and sent to all, the sender above all. `refusals`: without repetitions,
    and not endlessly many.
    """

    accepted: bytes | None
    correction: bytes | None = None
    refusals: tuple[Refusal, ...] = ()
    news: tuple[News, ...] = ()
