"""What tests of the chat's tables share: people, nodes, and short ways to post."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import count
from typing import TypeVar

import pytest
from sqlalchemy import Connection, text

from crdt_store.engine import Database, create_engine
from crdt_store.messages import (
    Messages,
    NewMessage,
    StoredMessage,
    delete_message,
    edit_message,
    insert_messages,
)
from crdt_store.users import UserDirectory

__all__ = ["ada", "bob", "databases", "messages"]

T = TypeVar("T")
CHAT = 7
NOW_MS = 1_800_000_000_000
_uuids = count()


@pytest.fixture
def messages(database: Database) -> Messages:
    return Messages(database)


@pytest.fixture
async def ada(database: Database) -> int:
    return await UserDirectory(database).id_of("i", "ada", "Ada")


@pytest.fixture
async def bob(database: Database) -> int:
    return await UserDirectory(database).id_of("i", "bob", "Bob")


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[list[Database]]:
    """Several nodes on one database."""
    databases = [create_engine(database_url) for _ in range(3)]
    yield databases
    for database in databases:
        await database.close()


def new(sender_id: int, body: str = "hello", uuid: str | None = None, **more: object) -> NewMessage:
    """A message under an uuid of its own, unless one is given."""
    return NewMessage(uuid or f"u{next(_uuids)}", sender_id, body, "2026-01-02T03:04:05Z", **more)  # type: ignore[arg-type]


async def post(
    database: Database, *written: NewMessage, chat_id: int = CHAT, now_ms: int = NOW_MS
) -> list[StoredMessage]:
    """Store these in a transaction of their own."""
    return await database.write(partial(insert_messages, chat_id=chat_id, new=written, now_ms=now_ms))


async def edit(
    database: Database, old: StoredMessage, body: str, *, mentions: Sequence[int] = (), now_ms: int = NOW_MS
) -> StoredMessage | None:
    """Change the text of what is stored."""
    return await database.write(
        partial(
            edit_message,
            chat_id=old.chat_id,
            sender_id=old.sender_id,
            uuid=old.uuid,
            body=body,
            mentions=mentions,
            now_ms=now_ms,
        )
    )


async def remove(database: Database, old: StoredMessage, *, now_ms: int = NOW_MS) -> StoredMessage | None:
    """Delete what is stored."""
    return await database.write(
        partial(delete_message, chat_id=old.chat_id, sender_id=old.sender_id, uuid=old.uuid, now_ms=now_ms)
    )


async def sql(database: Database, query: str) -> list[tuple[object, ...]]:
    """What the query finds."""
    find: Callable[[Connection], list[tuple[object, ...]]] = lambda connection: [  # noqa: E731
        tuple(record) for record in connection.execute(text(query))
    ]
    return await database.read(find)
