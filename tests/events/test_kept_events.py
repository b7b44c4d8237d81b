"""What the store keeps of rooms comes back as the news it was."""

import json
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from crdt_store.engine import create_engine
from crdt_store.migrations import migrate
from crdt_store.room_events import append_event
from server.events.kept_events import KeptEvents
from server.news.hub import News


async def test_events_come_back_with_their_numbers(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"
    migrate(url)
    database = create_engine(url)
    try:
        kept = KeptEvents(database)
        assert await kept.last_event_seq("chat:1") == 0
        for number in range(3):
            payload = json.dumps({"number": number})
            await database.write(partial(_append, payload=payload))
        assert await kept.last_event_seq("chat:1") == 3
        assert await kept.events_after("chat:1", 1, 1) == (
            [News("message", {"number": 1}, None, 5, 2)],
            False,
        )
        assert await kept.events_after("chat:1", 9, 10) == ([], True)
    finally:
        await database.close()


def _append(connection: Connection, *, payload: str) -> int:
    return append_event(connection, "chat:1", "message", payload, None, 5)
