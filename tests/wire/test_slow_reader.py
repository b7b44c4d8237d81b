"""A client that does not read costs a bounded number of bytes, and one diff when it reads again."""

from pathlib import Path

import pytest
from pycrdt import Doc, Text
from websockets.exceptions import ConnectionClosed

from server.protocol.awareness_codec import AwarenessEntry
from server.protocol.closing import CloseCode
from server.protocol.yjs_messages import Update
from tests.wire.client import Writer
from tests.wire.conftest import run_server

PASTE = "x" * 200_000
COUNT = 50  # more than the kernel keeps for a client that does not read


async def test_who_falls_behind_gets_one_diff_and_everybodys_presence(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_outbox_bytes=400_000) as server:
        alice, slow = await server.client("alice"), await server.client("bob")
        await slow.sync()
        slow.connection.transport.pause_reading()
        writer = Writer(7)
        for _ in range(COUNT):
            await alice.edit(writer.type(PASTE))
        await alice.show(7, 1, b'{"still":"here"}')
        carol = await server.client("carol")
        assert len(await carol.text()) == COUNT * len(PASTE)
        slow.connection.transport.resume_reading()
        await slow.until(lambda: len(slow.answers()) == 2)
        await slow.until(lambda: AwarenessEntry(7, 1, b'{"still":"here"}') in slow.awareness())
        doc: Doc[Text] = Doc()
        for message in slow.messages():
            if isinstance(message, Update):
                doc.apply_update(message.data)
        assert str(doc.get("content", type=Text)) == str(writer.content)
        assert len(slow.updates()) < COUNT, "it was sent everything after all"


async def test_own_edits_are_acknowledged_by_the_diff(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_outbox_bytes=400_000) as server:
        alice, slow = await server.client("alice"), await server.client("bob")
        await slow.sync()
        slow.connection.transport.pause_reading()
        writer, own = Writer(7), Writer(8)
        for _ in range(COUNT):
            await alice.edit(writer.type(PASTE))
        update = own.type("mine")
        await slow.send(b"\x00\x02" + bytes((len(update),)) + update)
        slow.connection.transport.resume_reading()
        await slow.until(lambda: slow.heard(update))


async def test_who_stays_behind_is_sent_away_to_come_back(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_outbox_bytes=400_000, lagging_close_seconds=2) as server:
        alice, slow = await server.client("alice"), await server.client("bob")
        await slow.sync()
        await slow.show(8, 1, b"{}")
        await alice.until(lambda: len(alice.awareness()) == 1)
        slow.connection.transport.pause_reading()
        writer = Writer(7)
        for _ in range(COUNT):
            await alice.edit(writer.type(PASTE))
        await alice.until(lambda: AwarenessEntry(8, 1, None) in alice.awareness())
        slow.connection.transport.resume_reading()
        with pytest.raises(ConnectionClosed) as closed:
            await slow.until(lambda: False)
        # The close frame stands behind all that was not read, and waits for some seconds only.
        assert closed.value.rcvd is None or closed.value.rcvd.code == CloseCode.TRY_AGAIN_LATER
