"""The devices of a chat's people: JSON clients that come back by themselves, and stock Yjs clients."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.interop.node_client import NodeClient, NodeDriver
from tests.wire.chat_view import View

ROOM = "chat:5"
WAIT_SECONDS = 20.0
_TRY_AGAIN = ("unavailable", "room_closed", "not_joined")


@dataclass(slots=True)
class Request:
    """What a user does. `answer`: the event that answered it, None until then."""

    kind: str
    payload: dict[str, Any]
    answer: dict[str, Any] | None = None


class JsonDevice:
    """A JSON client that is in the room whenever it can, and brings what has no answer. `is_up`: the server is."""

    def __init__(self, url: str, user_id: int, is_up: asyncio.Event) -> None:
        self.user_id = user_id
        self.view = View()
        self._url = url
        self._is_up = is_up
        self._requests: dict[str, Request] = {}
        self._connection: ClientConnection | None = None
        self._may_connect = asyncio.Event()
        self._may_connect.set()
        self._changed = asyncio.Event()

    # What its user does

    async def ask(self, kind: str, **payload: object) -> Request:
        """Send it now, or as soon as there is a connection."""
        event_id = str(uuid.uuid4())
        request = self._requests[event_id] = Request(kind, {"room": ROOM, **payload})
        await self._send(event_id, request)
        return request

    async def disconnect(self, *, is_clean: bool) -> None:
        """Lose the connection, and stay away."""
        self._may_connect.clear()
        await self.lose_connection(is_clean=is_clean)

    async def lose_connection(self, *, is_clean: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if is_clean:
            await connection.close()
        else:
            connection.transport.abort()

    def reconnect(self) -> None:
        self._may_connect.set()

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    @property
    def unanswered(self) -> list[Request]:
        return [request for request in self._requests.values() if request.answer is None]

    async def until(self, holds: Callable[[], bool], seen: Callable[[], object]) -> None:
        """Raises AssertionError with what is `seen` instead, if it takes too long."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not holds():
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(seen()) from None

    async def until_answered(self, *, but: int = 0) -> None:
        """Until no more than so many requests wait for an answer."""
        await self.until(lambda: len(self.unanswered) <= but, lambda: self.unanswered)

    # Its connection

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._may_connect.wait()
            await self._is_up.wait()
            try:
                async with connect(self._url, max_size=None, compression=None) as connection:
                    await self._enter(connection)
                    async for text in connection:
                        await self._receive(json.loads(text))
            except (OSError, EOFError, WebSocketException):  # the server was killed, or is not there yet
                await anyio.lowlevel.checkpoint()
            finally:
                self._connection = None

    async def _enter(self, connection: ClientConnection) -> None:
        """What was missed comes after the answer."""
        join = {"room": ROOM, "last_seq": self.view.last_event_seq}
        await connection.send(json.dumps({"type": "join_room", "payload": join, "id": "join"}))
        async for text in connection:
            event = json.loads(text)
            if event.get("id") == "join":
                assert event["type"] == "ack", event
                assert not event["payload"]["gap"], event
                break
        self._connection = connection
        for event_id, request in list(self._requests.items()):
            if request.answer is None:
                await self._send(event_id, request)

    async def _send(self, event_id: str, request: Request) -> None:
        if self._connection is None:
            return
        event = {"type": request.kind, "payload": request.payload, "id": event_id}
        try:
            await self._connection.send(json.dumps(event))
        except ConnectionClosed:  # it is sent with the next one
            self._connection = None

    async def _receive(self, event: dict[str, Any]) -> None:
        request = self._requests.get(event.get("id", ""))
        code = event["payload"].get("code") if event["type"] == "error" else None
        if code in _TRY_AGAIN:
            await self.lose_connection(is_clean=False)
        elif request is not None:
            assert request.answer is None, (request, event)
            assert code in (None, "conflict"), (request, event)  # an edit of what another device has deleted
            request.answer = event
        else:
            assert code is None, event
            self.view.hear(event)
        self._changed.set()
        self._changed = asyncio.Event()


class YjsDevice(NodeClient):
    """A stock provider on the thread; what it can do is in `chat_clients.mjs`."""

    def __init__(self, driver: NodeDriver, number: int, user: str, user_id: int) -> None:
        super().__init__(driver, number, user)
        self.user_id = user_id

    async def connect(self, url: str, token: str) -> None:
        await self.call(
            "connect",
            url=url,
            room=ROOM,
            params={"token": token},
            awareness={"user": {"name": self.name}},
            user_id=self.user_id,
            options={"maxBackoffTime": 200},
        )

    async def wait_settled(self, count: int | None = None) -> None:
        """Until all Yjs devices are equal, and all messages, so many of them, are saved and have their seqs."""
        await self._wait("wait_settled", WAIT_SECONDS, count=count)


@asynccontextmanager
async def chat_driver() -> AsyncIterator[NodeDriver]:
    """A Node process for Yjs devices, which end with it."""
    command = ["node", str(Path(__file__).with_name("chat_clients.mjs"))]
    async with await anyio.open_process(command, stderr=None) as process, anyio.create_task_group() as tasks:
        try:
            yield NodeDriver(process, tasks)
        finally:
            if process.returncode is None:
                process.kill()
            tasks.cancel_scope.cancel()
