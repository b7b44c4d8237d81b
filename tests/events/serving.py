"""A server with the JSON protocol, and clients that speak it."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from auth.grants import Role
from server.events.context import Context
from server.events.endpoint import EventsEndpoint
from server.events.event_texts import EventTexts
from server.events.handlers import EventHandlers
from server.events.remembered_answers import RememberedAnswers
from server.events.room_feed import RoomHistory
from server.news.hub import Hub, News
from tests.wire.conftest import RunningServer, run_server

DEADLINE_SECONDS = 10
Event = dict[str, Any]


class KeptInMemory:
    """A `RoomHistory`: `keep` publishes what it keeps."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.kept: dict[str, list[News]] = {}
        self.forgotten = 0
        self.before_read: Callable[[], None] = lambda: None

    def keep(self, room: str, kind: str = "message", sender_id: int | None = 1, **payload: object) -> News:
        news = self.store(room, kind, sender_id, **payload)
        self._hub.publish(room, news)
        return news

    def store(self, room: str, kind: str = "message", sender_id: int | None = 1, **payload: object) -> News:
        """Kept, and not published yet."""
        events = self.kept.setdefault(room, [])
        news = News(kind, payload, sender_id, int(time.time() * 1000), len(events) + 1)
        events.append(news)
        return news

    async def last_event_seq(self, room: str) -> int:
        self.before_read()
        return len(self.kept.get(room, ()))

    async def events_after(self, room: str, seq: int, limit: int) -> tuple[list[News], bool]:
        self.before_read()
        events = self.kept.get(room, [])
        if seq < self.forgotten or seq > len(events):
            return events[self.forgotten :][:limit], True
        return events[seq:][:limit], False


class JsonClient:
    """One connection. `received` grows as one waits."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[Event] = []
        self._ids = count(1)

    async def say(self, kind: str, payload: Mapping[str, object] | None = None, **more: object) -> None:
        """Send an event without an id."""
        await self.connection.send(json.dumps({"type": kind, "payload": payload or {}, **more}))

    async def ask(self, kind: str, **payload: object) -> Event:
        """Send an event with an id; the answer."""
        event_id = f"{kind}-{next(self._ids)}"
        await self.say(kind, payload, id=event_id)
        return await self.heard(lambda event: event.get("id") == event_id)

    async def heard(self, is_it: Callable[[Event], bool]) -> Event:
        """The first event of all received that it is, waited for if need be."""
        with anyio.fail_after(DEADLINE_SECONDS):
            seen = 0
            while True:
                while seen < len(self.received):
                    seen += 1
                    if is_it(self.received[seen - 1]):
                        return self.received[seen - 1]
                text = await self.connection.recv()
                assert isinstance(text, str)
                self.received.append(json.loads(text))

    async def heard_of(self, kind: str, **payload: object) -> Event:
        """The first event of this type with these parts in its payload."""
        return await self.heard(
            lambda event: event["type"] == kind and payload.items() <= event["payload"].items()
        )

    async def settle(self) -> None:
        """All that the server has said until now is received."""
        await self.ask("ping")

    def kinds(self, *but: str) -> list[str]:
        """The types of all that was received."""
        return [event["type"] for event in self.received if event["type"] not in ("ack", "pong", *but)]

    def stop_reading(self) -> None:
        """Leave unread what comes, and have the kernel hold little of it."""
        self.connection.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 128 * 1024)
        self.connection.transport.pause_reading()

    async def close_code(self) -> int:
        """Receive until the server closes; its code."""
        with pytest.raises(ConnectionClosed) as closed:
            await self.heard(lambda event: False)
        assert closed.value.rcvd is not None, "cut without a close frame"
        return closed.value.rcvd.code


class EventsServer:
    """A running server whose `/events` is served by parts that tests can reach."""

    def __init__(self, server: RunningServer, clients: AsyncExitStack) -> None:
        self.yjs = server
        self.hub = Hub()
        self.handlers = EventHandlers()
        self.history = KeptInMemory(self.hub)
        self._clients = clients
        self.endpoint = self._add_endpoint(self.history)

    def _add_endpoint(self, history: RoomHistory) -> EventsEndpoint:
        doorway: Any = self.yjs.app.doorway  # type: ignore[attr-defined]
        parts: Any = doorway._endpoints["/ws/"]
        served: Context = doorway._endpoints["/events"]._context
        self.context = Context(
            parts._settings,
            parts._doorkeeper,
            parts._rooms,
            parts._gate,
            self.hub,
            self.handlers,
            history,
            None,
            served.unread_notifications,
            RememberedAnswers(),
            served.presence,
            served.world,
            EventTexts(),
            time.monotonic,
            _now_ms,
            lambda: secrets.randbits(32),
        )
        endpoint = EventsEndpoint(self.context, parts._connections, parts._counts)
        doorway._endpoints = {**doorway._endpoints, "/events": endpoint}
        return endpoint

    async def open(self, query: str = "", headers: Mapping[str, str] | None = None) -> JsonClient:
        """A connection to `/events` with that query."""
        url = f"{self.yjs.url}/events{query}"
        connecting = connect(url, compression=None, max_size=None, additional_headers=headers or {})
        return JsonClient(await self._clients.enter_async_context(connecting))

    async def client(self, user: str = "alice", role: Role = Role.EDITOR, room: str = "*") -> JsonClient:
        """A connection as that user."""
        return await self.open(f"?token={quote(self.yjs.token(user, role, room))}")


@asynccontextmanager
async def run_events_server(data_dir: Path, **options: Any) -> AsyncIterator[EventsServer]:
    """Serve on a free port; `options` are settings."""
    async with run_server(data_dir, **options) as server, AsyncExitStack() as clients:
        yield EventsServer(server, clients)


def _now_ms() -> int:
    return int(time.time() * 1000)
