"""A client that speaks bytes: what stock clients never send can be sent with it."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from urllib.parse import quote

import anyio
import pytest
from pycrdt import Doc, Text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.protocol.awareness_codec import AwarenessEntry, read_entries, write_entries
from server.protocol.id_set import IdSet
from server.protocol.structs import Struct, read_structs
from server.protocol.yjs_messages import (
    Awareness,
    ClientMessage,
    SyncStep1,
    Update,
    awareness_message,
    read_frame,
    sync_step_1,
    update_message,
)

DEADLINE_SECONDS = 10


class WireClient:
    """One connection. `received` grows as `until` waits; nothing is answered by itself."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[bytes] = []

    async def send(self, frame: bytes) -> None:
        """Send one binary frame."""
        await self.connection.send(frame)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Receive until the condition holds. Raises TimeoutError, ConnectionClosed."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while not holds():
                frame = await self.connection.recv()
                assert isinstance(frame, bytes)
                self.received.append(frame)

    async def close_code(self) -> int:
        """Receive until the server closes; its code."""
        with pytest.raises(ConnectionClosed) as closed:
            await self.until(lambda: False)
        assert closed.value.rcvd is not None, "cut without a close frame"
        return closed.value.rcvd.code

    def messages(self) -> list[ClientMessage]:
        """All that was received, decoded; permission denials, which only servers send, left out."""
        return [m for frame in self.received if frame[0] != 2 for m in read_frame(frame)]

    def denials(self) -> list[str]:
        """The reasons of all permission denials received."""
        return [frame[3:].decode() for frame in self.received if frame[:2] == b"\x02\x00"]

    def updates(self) -> list[bytes]:
        """The updates received as they happened (not in answers)."""
        return [m.data for m in self.messages() if isinstance(m, Update) and not m.is_reply]

    def heard(self, update: bytes) -> bool:
        """Whether all that the update says has come as it happened; maybe merged with what others wrote."""
        return says(self.updates(), update)

    def answers(self) -> list[bytes]:
        """The SyncStep2 updates received."""
        return [m.data for m in self.messages() if isinstance(m, Update) and m.is_reply]

    def questions(self) -> list[bytes]:
        """The state vectors of the SyncStep1s received."""
        return [m.state_vector for m in self.messages() if isinstance(m, SyncStep1)]

    def awareness(self) -> list[AwarenessEntry]:
        """Every awareness entry received, in order."""
        return [
            entry for m in self.messages() if isinstance(m, Awareness) for entry in read_entries(m.entries)
        ]

    async def sync(self, state_vector: bytes = b"\x00") -> bytes:
        """Ask for what a replica of this state vector lacks; the answer."""
        count = len(self.answers())
        await self.send(sync_step_1(state_vector))
        await self.until(lambda: len(self.answers()) > count)
        return self.answers()[-1]

    async def edit(self, update: bytes) -> None:
        """Send an update and wait until it comes back, which says that it is saved."""
        await self.send(update_message(update))
        await self.until(lambda: self.heard(update))

    async def show(self, client_id: int, clock: int, state: bytes | None) -> None:
        """Send one awareness entry."""
        await self.send(awareness_message(write_entries([AwarenessEntry(client_id, clock, state)])))

    async def text(self) -> str:
        """What a newcomer reads under `content`."""
        doc: Doc[Text] = Doc()
        doc.apply_update(await self.sync())
        return str(doc.get("content", type=Text))


def says(updates: Iterable[bytes], update: bytes) -> bool:
    """Whether the updates, together, hold every struct and every deletion of this one, byte by byte."""
    structs, deletes = read_structs(update)
    theirs = [read_structs(merged) for merged in updates]
    came = {_content(part) for some, _ in theirs for part in some}
    gone = IdSet().union(*(some for _, some in theirs))
    return not deletes.minus(gone) and all(_content(part) in came for part in structs)


def _content(part: Struct) -> tuple[int, int, bytes]:
    return part.client, part.clock, part.source[part.start : part.end]


class Writer:
    """A replica that makes real updates, one for each call."""

    def __init__(self, client_id: int) -> None:
        self.doc: Doc[Text] = Doc(client_id=client_id)
        self.content = self.doc.get("content", type=Text)
        self._updates: list[bytes] = []
        self._subscription = self.doc.observe(lambda event: self._updates.append(event.update))

    def type(self, text: str) -> bytes:
        """Append to the text; the update."""
        self.content += text
        return self._updates[-1]

    def erase(self, start: int, length: int) -> bytes:
        """Delete from the text; the update."""
        del self.content[start : start + length]
        return self._updates[-1]


@asynccontextmanager
async def open_client(url: str, room: str, token: str) -> AsyncIterator[WireClient]:
    """A connection to `url`/ws/`room`; nothing is sent yet."""
    async with connect(
        f"{url}/ws/{quote(room)}?token={quote(token)}", compression=None, max_size=None
    ) as connection:
        yield WireClient(connection)
