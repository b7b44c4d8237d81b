"""All that was said in a chat, from its beginning, in however many documents the thread is."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from crdt_store.message_rows import COLUMNS, StoredMessage, stored_message
from crdt_store.tables import messages, users

_AT_ONCE = 1000


def each_message(connection: Connection, chat_id: int) -> Iterator[StoredMessage]:
    """In the order of `seq`, the deleted among them; never all of them in memory."""
    query = select(*COLUMNS).where(messages.c.chat_id == chat_id).order_by(messages.c.seq)
    for records in connection.execute(query, execution_options={"yield_per": _AT_ONCE}).partitions():
        yield from map(stored_message, records)


def names_of_senders(connection: Connection, chat_id: int) -> dict[int, str]:
    """By id: the name that each gave last."""
    of_chat = select(messages.c.sender_id).where(messages.c.chat_id == chat_id)
    query = select(users.c.id, users.c.name).where(users.c.id.in_(of_chat))
    return {user_id: name for user_id, name in connection.execute(query)}  # noqa: C416 - of Rows
