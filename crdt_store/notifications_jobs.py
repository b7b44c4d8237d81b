"""The jobs that notify: what they hold, and how their cause writes them, in its own transaction.

Who is told, and of what, is found out when the job is done: its cause pays for one row.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection

from crdt_store.jobs import Job, enqueue
from crdt_store.notifications_messages import SeqRange

ROLE_NAMES = ("none", "viewer", "commenter", "editor", "admin")
"""By number."""

CHAT_MESSAGES, NOTICE, BROADCAST = "chat_messages", "notice", "broadcast"


class ChatMessages(NamedTuple):
    """`sent`: new messages of the chat, none left out; `edited`: seqs of some that mention somebody now."""

    chat_id: int
    sent: SeqRange | None
    edited: Sequence[int] = ()

    @classmethod
    def of(cls, job: Job) -> Self:
        payload = json.loads(job.payload)
        sent = payload["sent"]
        return cls(payload["chat_id"], None if sent is None else SeqRange(*sent), payload["edited"])


class DirectNotice(NamedTuple):
    """For certain users, as far as they may read the room. `key` tells it from others; None: it is like no other."""

    kind: str
    room: str
    user_ids: Sequence[int]
    actor_id: int | None
    payload: Mapping[str, Any] = {}
    key: str | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(**json.loads(job.payload))


class Broadcast(NamedTuple):
    """For all users with an id above `after`; `key` is the same for all parts of one."""

    text: str
    actor_id: int
    key: str
    after: int = 0

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(**json.loads(job.payload))


def enqueue_chat_messages(connection: Connection, found: ChatMessages, now_ms: int) -> None:
    """Have people notified of messages that were stored or edited."""
    enqueue(connection, CHAT_MESSAGES, found._asdict(), now_ms)


def enqueue_notice(connection: Connection, notice: DirectNotice, now_ms: int) -> None:
    """Have these users notified."""
    enqueue(connection, NOTICE, notice._asdict(), now_ms)


def enqueue_broadcast(connection: Connection, broadcast: Broadcast, now_ms: int) -> None:
    """Have everybody notified."""
    enqueue(connection, BROADCAST, broadcast._asdict(), now_ms)


# Of what has no job of its own


def enqueue_invitation(
    connection: Connection, room: str, user_id: int, role: int, actor_id: int, now_ms: int
) -> None:
    """Somebody has got a role (1 to 4) in a room where they had none, by `actor_id`."""
    payload = {"role": ROLE_NAMES[role]}
    enqueue_notice(connection, DirectNotice("invitation", room, [user_id], actor_id, payload), now_ms)


def enqueue_lock_taken(
    connection: Connection, room: str, path: str, holder_id: int, actor_id: int, now_ms: int
) -> None:
    """The holder's lock was ended by `actor_id`."""
    enqueue_notice(
        connection, DirectNotice("lock_taken", room, [holder_id], actor_id, {"path": path}), now_ms
    )


def enqueue_lock_free(
    connection: Connection, room: str, path: str, waiting: Collection[int], actor_id: int | None, now_ms: int
) -> None:
    """What these users wait for is not locked any more."""
    enqueue_notice(
        connection, DirectNotice("lock_free", room, sorted(waiting), actor_id, {"path": path}), now_ms
    )


def enqueue_conflict(
    connection: Connection, room: str, path: str, authors: Collection[int], actor_id: int | None, now_ms: int
) -> None:
    """These users have changed the same part of a file."""
    enqueue_notice(
        connection, DirectNotice("conflict", room, sorted(authors), actor_id, {"path": path}), now_ms
    )
