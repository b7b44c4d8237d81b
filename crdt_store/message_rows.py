"""A chat's message, as it comes and as it is kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from crdt_store.tables import messages

MAX_UUID_CHARACTERS = 200
_REPLACEMENT = "\ufffd"
_MAX_SEQ = 2**63 - 1


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be stored, the sender's one under this `uuid`; `mentions` are ids of users. `agent`: what
    people see of the program that wrote it, if it was one.

    Of what no database can keep, a NUL or half a surrogate pair, a replacement character is kept. Raises ValueError.
    """

    uuid: str
    sender_id: int
    body: str
    sent_at: str
    reply_to: str | None = None
    mentions: tuple[int, ...] = ()
    agent: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if len(self.uuid) > MAX_UUID_CHARACTERS:
            raise ValueError(f"a message's id has {len(self.uuid)} characters, {MAX_UUID_CHARACTERS} at most")


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message and its place: `seq` counts those of its chat from 1 on, in commit order; `id` is of the database.

    One that is `deleted` has no body and no mentions. `edited_at_ms`: the last change. `is_duplicate`: it was there.
    """

    id: int
    chat_id: int
    seq: int
    uuid: str
    sender_id: int
    body: str
    reply_to: str | None
    sent_at: str
    server_time_ms: int
    edited_at_ms: int | None
    deleted: bool
    mentions: tuple[int, ...]
    agent: Mapping[str, str] | None = None
    is_duplicate: bool = False


COLUMNS = [column for column in messages.c]  # noqa: C416 - a list of columns, not of names


def stored_message(record: Sequence[Any]) -> StoredMessage:
    """From a row of COLUMNS."""
    *columns, deleted, mentions, agent = record
    values: list[Any] = [*columns, bool(deleted), tuple(json.loads(mentions)), agent and json.loads(agent)]
    return StoredMessage(*values)


def read_page(connection: Connection, chat_id: int, before: int | None, limit: int) -> list[StoredMessage]:
    """The newest of the chat, or those with a smaller seq than `before`; newest first."""
    query = select(*COLUMNS).where(messages.c.chat_id == chat_id, messages.c.seq < bounded(before))
    found = connection.execute(query.order_by(messages.c.seq.desc()).limit(max(limit, 0)))
    return [stored_message(record) for record in found]


def read_message(connection: Connection, chat_id: int, uuid: str, sender_id: int) -> StoredMessage | None:
    """The sender's message of that uuid, if there is one, deleted or not."""
    record = connection.execute(select(*COLUMNS).where(*is_message(chat_id, sender_id, uuid))).one_or_none()
    return None if record is None else stored_message(record)


def is_message(chat_id: int, sender_id: int, uuid: str) -> tuple[ColumnElement[bool], ...]:
    """Which row it is."""
    table = messages.c
    return table.chat_id == chat_id, table.sender_id == sender_id, table.uuid == storable(uuid)


def bounded(before: int | None) -> int:
    """A cursor as databases can take it: whatever a client has sent."""
    return _MAX_SEQ if before is None else max(0, min(before, _MAX_SEQ))


def storable(text: str) -> str:
    """The text without what cannot be kept: PostgreSQL has no NUL, UTF-8 no half of a surrogate pair."""
    units = text.replace("\0", _REPLACEMENT).encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le", "replace")


def storable_agent(agent: Mapping[str, str] | None) -> str | None:
    """As the column has it."""
    return None if agent is None else json.dumps(agent, ensure_ascii=False, separators=(",", ":"))


def storable_mentions(mentions: Sequence[int]) -> str:
    """As the column has them."""
    return json.dumps(list(mentions), separators=(",", ":"))
