"""pycrdt's own `Provider`, a client of another kind than npm's, meets a stock one through the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import anyio
from pycrdt import Doc, Provider, Text, TextEvent
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.interop.node_client import WAIT_SECONDS, NodeDriver
from tests.server_process import ServerProcess


class WebSocketChannel:
    """A client connection as the channel that the provider wants."""

    def __init__(self, websocket: ClientConnection, path: str) -> None:
        self._websocket = websocket
        self.path = path

    def __aiter__(self) -> "WebSocketChannel":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def send(self, message: bytes) -> None:
        await self._websocket.send(message)

    async def recv(self) -> bytes:
        message = await self._websocket.recv()
        assert isinstance(message, bytes)
        return message


class PycrdtClient:
    """A document kept in step by a provider."""

    def __init__(self, content: Text) -> None:
        self.content = content
        self._changed = anyio.Event()
        content.observe(self._on_change)

    async def wait_text(self, text: str) -> None:
        with anyio.fail_after(WAIT_SECONDS):
            while str(self.content) != text:
                await self._changed.wait()

    def _on_change(self, _event: TextEvent) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def pycrdt_client(server: ServerProcess, room: str, user: str) -> AsyncIterator[PycrdtClient]:
    doc = Doc({"content": Text()})
    url = f"{server.websocket_url}/{quote(room)}?token={await server.token(user)}"
    async with connect(url, proxy=None) as websocket:
        provider: Provider = Provider(doc, WebSocketChannel(websocket, room))
        async with provider:
            with anyio.fail_after(WAIT_SECONDS):
                await provider.synced.wait()
            yield PycrdtClient(doc.get("content", type=Text))


async def test_a_python_and_a_browser_client_converge(
    server: ServerProcess, driver: NodeDriver, room: str
) -> None:
    alice = await driver.connect(server.websocket_url, room, name="alice", token=await server.token("alice"))
    await (await alice.synced()).insert(0, "from npm 🌍")
    await alice.wait_confirmed()
    async with pycrdt_client(server, room, "bob") as bob:
        await bob.wait_text("from npm 🌍")
        bob.content += ", from pycrdt"
        await alice.wait_text("from npm 🌍, from pycrdt")
        await alice.delete(0, 5)
        await bob.wait_text("npm 🌍, from pycrdt")
        await alice.wait_confirmed()


async def test_two_python_clients_converge(server: ServerProcess, room: str) -> None:
    async with pycrdt_client(server, room, "alice") as alice, pycrdt_client(server, room, "bob") as bob:
        alice.content += "one"
        await bob.wait_text("one")
        bob.content += " two"
        await alice.wait_text("one two")
