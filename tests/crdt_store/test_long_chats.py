"""A chat costs what is looked at, not what was ever said in it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from crdt_store import message_rows, messages, receipts, room_events
from crdt_store.messages import Mark, append_event, insert_messages, trim_events
from crdt_store.sqlite import sqlite_engine
from tests.crdt_store.chatting import NOW_MS, new

SHORT, LONG, SHORT_CHAT, LONG_CHAT = 1000, 1_000_000, 1, 2
READER, SENDER = 1, 2
KEPT_EVENTS = 1000

FILL = """
    WITH RECURSIVE counted(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM counted WHERE seq < :count)
    INSERT INTO messages (chat_id, seq, uuid, sender_id, body, sent_at, server_time_ms, deleted, mentions)
    SELECT :chat, seq, 'uuid-' || seq, 1 + (seq % 3 > 0), 'message number ' || seq || ' of many', '', seq,
    seq % 100 = 0 AND seq > :count - 500, '[]' FROM counted
"""
FILL_EVENTS = f"""
    INSERT INTO room_events (room, seq, type, payload, at_ms)
    SELECT 'chat:' || chat_id, seq, 'message', '{{}}', seq FROM messages
    WHERE seq > (SELECT last_seq FROM chat_heads WHERE chat_heads.chat_id = messages.chat_id) - {KEPT_EVENTS}
"""


@pytest.fixture(scope="module")
def filled(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short chat and a long one, whose reader is 100 messages behind."""
    path = tmp_path_factory.mktemp("long") / "chats.db"
    path.write_bytes(empty_database.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(
            "INSERT INTO users (issuer, subject, name, created_at) VALUES ('i', ?, 'n', '2026-01-01')",
            ["a", "b"],
        )
        for chat_id, count in ((SHORT_CHAT, SHORT), (LONG_CHAT, LONG)):
            connection.execute(FILL, {"chat": chat_id, "count": count})
            connection.execute("INSERT INTO chat_heads VALUES (?, ?)", (chat_id, count))
            connection.execute("INSERT INTO room_heads VALUES (?, ?)", (f"chat:{chat_id}", count))
            connection.execute(
                "INSERT INTO receipts VALUES (?, ?, ?, ?, 0)", (chat_id, READER, count - 100, count - 100)
            )
        connection.execute(FILL_EVENTS)
        connection.commit()
    return path


def event(chat_id: int) -> Callable[[Connection], object]:
    return partial(append_event, room=f"chat:{chat_id}", type="m", payload="", sender_id=None, now_ms=NOW_MS)


LOOKED_AT: dict[str, Callable[[int, int], Callable[[Connection], object]]] = {
    "head": lambda chat, end: partial(messages._heads, chat_ids=[chat]),
    "newest page": lambda chat, end: partial(message_rows.read_page, chat_id=chat, before=None, limit=50),
    "oldest page": lambda chat, end: partial(message_rows.read_page, chat_id=chat, before=51, limit=50),
    "middle page": lambda chat, end: partial(message_rows.read_page, chat_id=chat, before=end // 2, limit=50),
    "one message": lambda chat, end: partial(
        message_rows.read_message, chat_id=chat, uuid=f"uuid-{end // 2}", sender_id=1
    ),
    "unread": lambda chat, end: partial(receipts.unread, user_id=READER, chat_ids=[chat]),
    "unread by who was never there": lambda chat, end: partial(receipts.unread, user_id=3, chat_ids=[chat]),
    "receipts": lambda chat, end: partial(receipts.receipts_of, chat_id=chat),
    "events": lambda chat, end: partial(
        room_events.events_after, room=f"chat:{chat}", seq=end - 50, limit=50
    ),
}
WRITTEN: dict[str, Callable[[int, int], Callable[[Connection], object]]] = {
    "send": lambda chat, end: partial(insert_messages, chat_id=chat, new=[new(SENDER)], now_ms=NOW_MS),
    "send again": lambda chat, end: partial(
        insert_messages, chat_id=chat, new=[new(1, uuid="uuid-3")], now_ms=NOW_MS
    ),
    "read": lambda chat, end: partial(receipts.mark, marks=[Mark(chat, READER, end, end)], now_ms=NOW_MS),
    "read for the first time": lambda chat, end: partial(
        receipts.mark, marks=[Mark(chat, SENDER, end, end)], now_ms=NOW_MS
    ),
    "event": lambda chat, end: event(chat),
    "trim": lambda chat, end: partial(trim_events, room=f"chat:{chat}", keep=KEPT_EVENTS - 10),
}


def steps_of(path: Path, body: Callable[[Connection], object], begin: str) -> int:
    """What it takes, in instructions of SQLite's machine; what it writes is rolled back."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    engine = sqlite_engine(path, begin=begin)
    try:
        with engine.connect() as connection, connection.begin() as transaction:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(step, 1)
            body(connection)
            driver.set_progress_handler(None, 1)
            transaction.rollback()
    finally:
        engine.dispose()
    return steps


@pytest.mark.slow
def test_a_million_messages_cost_no_more_than_twice_what_a_thousand_do(filled: Path) -> None:
    for begin, operations in (("BEGIN", LOOKED_AT), ("BEGIN IMMEDIATE", WRITTEN)):
        for name, operation in operations.items():
            short = steps_of(filled, operation(SHORT_CHAT, SHORT), begin)
            long = steps_of(filled, operation(LONG_CHAT, LONG), begin)
            print(f"    {name}: {short} {long}")
            assert 0 < long <= 2 * short, name
