"""The events that the store keeps of rooms."""

import json
from collections.abc import Sequence

from crdt_store.database import Database
from crdt_store.room_events import RoomEvent, events_after, last_event_seqs
from server.news.hub import News


class KeptEvents:
    """A `RoomHistory` in a database; payloads are stored as JSON."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_event_seq(self, room: str) -> int:
        """Of the last event, kept or not; 0 if there is none. Raises LogUnavailable."""
        seqs = await self._database.read(lambda connection: last_event_seqs(connection, [room]))
        return seqs[room]

    async def events_after(self, room: str, seq: int, limit: int) -> tuple[Sequence[News], bool]:
        """As `RoomHistory` says."""
        events, gap = await self._database.read(lambda connection: events_after(connection, room, seq, limit))
        return [_news(event) for event in events], gap


def _news(event: RoomEvent) -> News:
    return News(event.type, json.loads(event.payload), event.sender_id, event.at_ms, event.seq)
