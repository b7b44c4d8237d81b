"""A Hocuspocus client that speaks bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from pycrdt import Doc, Text
from websockets.asyncio.client import ClientConnection, connect

from server.protocol.hocuspocus import address_prefix
from server.protocol.varint import buf, read_buf
from server.protocol.yjs_messages import sync_step_1, sync_step_2, update_message
from tests.wire.client import DEADLINE_SECONDS
from tests.wire.conftest import ROOM

QUESTION, ANSWER, UPDATE = b"\0\0", b"\0\1", b"\0\2"
SAVED, REFUSED = b"\x08\x01", b"\x08\x00"


class HocuspocusClient:
    """One socket; what it is sent is kept by address."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[bytes] = []

    async def send(self, message: bytes, address: str = ROOM) -> None:
        await self.connection.send(address_prefix(address) + message)

    async def until(self, message: bytes, count: int = 1, address: str = ROOM) -> None:
        """Receive until so many messages that begin like this have come."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while len(self.of(message, address)) < count:
                frame = await self.connection.recv()
                assert isinstance(frame, bytes)
                self.received.append(frame)

    def of(self, message: bytes, address: str = ROOM) -> list[bytes]:
        """What has come that begins like this, behind the address."""
        prefix = address_prefix(address)
        return [each[len(prefix) :] for each in self.received if each.startswith(prefix + message)]

    async def open(self, token: str, address: str = ROOM) -> None:
        """Do what the provider does, and wait until it is synced."""
        await self.send(b"\x02\x00" + buf(token.encode()) + buf(b"4.8.0"), address)
        await self.send(sync_step_1(b"\0"), address)
        await self.until(ANSWER, address=address)
        await self.send(sync_step_2(b"\0\0"), address)
        await self.until(b"\x08", address=address)

    async def edit(self, update: bytes, address: str = ROOM) -> None:
        await self.send(update_message(update), address)

    async def text(self, address: str = ROOM) -> str:
        count = len(self.of(ANSWER, address))
        await self.send(sync_step_1(b"\0"), address)
        await self.until(ANSWER, count + 1, address)
        doc: Doc[Text] = Doc()
        update = self.of(ANSWER, address)[-1]
        doc.apply_update(read_buf(update, 2)[0])
        return str(doc.get("content", type=Text))


@asynccontextmanager
async def hocuspocus_client(url: str) -> AsyncIterator[HocuspocusClient]:
    """A connection to the endpoint; nothing is sent yet."""
    async with connect(f"{url}/hocuspocus", compression=None, max_size=None) as connection:
        yield HocuspocusClient(connection)
