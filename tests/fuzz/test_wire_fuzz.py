"""One hostile client after another in the room of somebody who goes on working, through real sockets."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import anyio
from pycrdt import Doc, Text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.protocol.awareness_codec import AwarenessEntry, write_entries
from server.protocol.yjs_messages import awareness_message, update_message
from tests.fuzz.documents import Editor
from tests.fuzz.frames import frames, masked
from tests.server_process import ServerProcess, running_server
from tests.wire.client import WireClient, Writer

ROOM = "workspace:1/fuzz.md"
FRAMES = 1000
MAX_SECONDS = 1.0
"""How long the good client may ever wait for a sign of life."""


@asynccontextmanager
async def joined(server: ServerProcess, user: str) -> AsyncIterator[ClientConnection]:
    """A connection that takes in whatever it is sent."""
    url = f"{server.websocket_url}/{quote(ROOM)}?token={await server.token(user)}"
    async with connect(url, compression=None, max_size=None, max_queue=None, close_timeout=1) as connection:
        yield connection


async def heard(connection: ClientConnection, update: bytes) -> None:
    """Until all that the update says has come. Raises TimeoutError."""
    client = WireClient(connection)
    await client.until(lambda: client.heard(update))


class GoodClient:
    """Types one letter after another, each when the one before is saved."""

    def __init__(self, connection: ClientConnection) -> None:
        self.writer = Writer(client_id=2**40 + 1)
        self.saved = 0
        self.longest_wait_seconds = 0.0
        self._connection = connection
        self._is_working = True

    async def work(self) -> None:
        """Until `finish`. Raises ConnectionClosed, TimeoutError."""
        state = AwarenessEntry(self.writer.doc.client_id, 1, b'{"user":{"name":"alice"}}')
        await self._connection.send(awareness_message(write_entries([state])))
        while self._is_working:
            update = self.writer.type("abcdefghij"[self.saved % 10])
            await self._connection.send(update_message(update))
            await heard(self._connection, update)
            self.saved += 1
            await anyio.sleep(0.005)

    async def feel_the_pulse(self) -> None:
        """Until `finish`: how long does the server take to answer a ping?"""
        while self._is_working:
            start = time.perf_counter()
            await (await self._connection.ping())
            self.longest_wait_seconds = max(self.longest_wait_seconds, time.perf_counter() - start)
            await anyio.sleep(0.02)

    def finish(self) -> None:
        self._is_working = False


async def attack(server: ServerProcess, stream: Iterator[bytes]) -> Counter[str]:
    """Send everything, each frame when the one before was dealt with; how often which close code came."""
    closes: Counter[str] = Counter()
    rng = Editor("raw")
    left = next(stream, None)
    while left is not None:
        async with joined(server, "mallory") as connection:
            try:
                while left is not None:
                    payload, left = left, next(stream, None)
                    if rng.random() < 0.03:
                        connection.transport.write(masked(rng, payload))
                    else:
                        await connection.send(payload)
                    with anyio.fail_after(MAX_SECONDS):
                        await (await connection.ping())
            except ConnectionClosed as error:
                closes[str(error.rcvd.code) if error.rcvd else "cut"] += 1
            except TimeoutError:  # a spoilt frame header: the server waits for the rest
                closes["given up"] += 1
                connection.transport.abort()
    return closes


async def newcomers_text(server: ServerProcess) -> str:
    async with joined(server, "bob") as connection:
        doc: Doc[Text] = Doc()
        doc.apply_update(await WireClient(connection).sync())
        return str(doc.get("content", type=Text))


async def test_a_good_client_does_not_notice_hostile_ones_in_its_room(tmp_path: Path) -> None:
    start = time.perf_counter()
    async with running_server(tmp_path) as server, joined(server, "alice") as connection:
        pid = server.pid
        good = GoodClient(connection)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(good.work)
            tasks.start_soon(good.feel_the_pulse)
            closes = await attack(server, islice(frames("wire"), FRAMES))
            good.finish()
        text = str(good.writer.content)
        assert await newcomers_text(server) == text
        assert len(text) == good.saved
        assert server.pid == pid
        assert good.longest_wait_seconds < MAX_SECONDS
        print(
            f"{FRAMES} frames in {time.perf_counter() - start:.1f} s, closes by code {dict(closes)}; "
            f"{good.saved} letters saved, longest wait {good.longest_wait_seconds * 1000:.0f} ms"
        )
        assert closes["4400"] + closes["1007"] > 0
        await server.restart()
        assert await newcomers_text(server) == text
