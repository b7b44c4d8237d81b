"""Bad bytes cost their sender the connection, with a code that says so; the room notices nothing."""

from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from server.engine.document import Document, EngineFailure
from server.protocol.closing import CloseCode
from server.protocol.varint import buf, var_uint
from server.protocol.yjs_messages import awareness_message, sync_step_1, update_message
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server


def nested_any(depth: int) -> bytes:
    """An update that inserts arrays in arrays, `depth` deep."""
    return b"\x01\x01\x07\x00\x08\x01\x01t\x01" + b"\x75\x01" * depth + b"\x7e\x00"


BAD_FRAMES = {
    "empty": b"",
    "unknown type": b"\x09",
    "type of a Jupyter server": b"\x02\x04save",
    "unknown sync message": b"\x00\x03\x00",
    "nothing after the type": b"\x00",
    "update without a body": b"\x00\x02",
    "body longer than the frame": b"\x00\x02\x05\x00",
    "endless integer": b"\x00\x02" + b"\xff" * 300_000,
    "length of 2 GB": b"\x00\x02" + var_uint(2**31),
    "update cut short": update_message(b"\x01\x01\x07\x00\x04\x01"),
    "update with a tail": update_message(b"\x00\x00\x00"),
    "update, invalid UTF-8": update_message(
        bytes.fromhex("01010100040101740568 65ff6c6f00".replace(" ", ""))
    ),
    "update, 2**28 structs claimed": update_message(bytes.fromhex("8080808001 00".replace(" ", ""))),
    "update nested 20,000 deep": update_message(nested_any(20_000)),
    "update nested 30,000 deep": update_message(nested_any(30_000)),
    "update, client id of 54 bits": update_message(
        b"\x01\x01" + var_uint(2**53) + b"\x00\x04\x01\x01t\x01a\x00"
    ),
    "update, clock over 31 bits": update_message(
        b"\x01\x01\x07" + var_uint(2**31) + b"\x04\x01\x01t\x01a\x00"
    ),
    "state vector of 2**31 clients": sync_step_1(bytes.fromhex("ffffffff0f00")),
    "awareness of 2 GB": b"\x01" + var_uint(2**31),
    "awareness, a state of 2 GB": awareness_message(b"\x01\x09\x01" + var_uint(2**31)),
    "awareness, more entries than bytes": awareness_message(var_uint(2**40)),
    "awareness, endless integer": b"\x01" + b"\xff" * 300_000,
    "awareness, not UTF-8": awareness_message(b"\x01\x09\x01" + buf(b'{"a":"\xff"}')),
    "awareness, not JSON": awareness_message(b"\x01\x09\x01" + buf(b"{")),
    "awareness, no object": awareness_message(b"\x01\x09\x01" + buf(b"5")),
    "awareness, NaN": awareness_message(b"\x01\x09\x01" + buf(b'{"x":NaN}')),
    "awareness, nested deep": awareness_message(
        b"\x01\x09\x01" + buf(b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    ),
}


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_a_malformed_frame_ends_its_connection_alone(server: RunningServer, frame: bytes) -> None:
    alice, mallory = await server.client("alice"), await server.client("mallory")
    await alice.edit(Writer(7).type("intact"))
    await mallory.send(frame)
    assert await mallory.close_code() == CloseCode.MALFORMED
    writer = Writer(8)
    await alice.edit(writer.type(" "))
    assert sorted(await alice.text()) == sorted("intact ")


async def test_a_text_message_is_refused(server: RunningServer) -> None:
    client = await server.client()
    await client.connection.send("hello")
    assert await client.close_code() == CloseCode.UNSUPPORTED_DATA


async def test_a_message_over_the_limit_is_refused_and_one_at_the_limit_is_not(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_message_bytes=10_000) as server:
        fits = await server.client()
        update = Writer(7).type("x" * (10_000 - 30))
        assert 9_980 < len(update_message(update)) <= 10_000
        await fits.edit(update)
        exceeds = await server.client()
        await exceeds.send(update_message(Writer(8).type("x" * 10_000)))
        assert await exceeds.close_code() == CloseCode.MESSAGE_TOO_BIG


async def test_awareness_over_its_limit_is_refused(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_awareness_bytes=1000) as server:
        client = await server.client()
        await client.show(7, 1, b'{"x":"%s"}' % (b"y" * 1000))
        assert await client.close_code() == CloseCode.MESSAGE_TOO_BIG


async def test_an_edit_under_somebody_elses_client_id_is_refused(server: RunningServer) -> None:
    alice, mallory = await server.client("alice"), await server.client("mallory")
    writer = Writer(7)
    await alice.edit(writer.type("mine"))
    await mallory.send(update_message(writer.type(" not")))
    assert await mallory.close_code() == CloseCode.FORBIDDEN
    assert mallory.denials() == ["client id 7 belongs to another user"]
    assert await alice.text() == "mine"


async def test_client_ids_stay_bound_after_a_restart(tmp_path: Path) -> None:
    writer = Writer(7)
    async with run_server(tmp_path) as server:
        await (await server.client("alice")).edit(writer.type("mine"))
    async with run_server(tmp_path) as server:
        mallory = await server.client("mallory")
        await mallory.send(update_message(writer.type(" not")))
        assert await mallory.close_code() == CloseCode.FORBIDDEN


async def test_a_reply_that_relays_others_edits_keeps_its_own_part(server: RunningServer) -> None:
    """Two tabs of two users in one browser tell each other before they tell the server."""
    alice, bob = await server.client("alice"), await server.client("bob")
    alices, bobs = Writer(7), Writer(8)
    await alice.edit(alices.type("a"))
    unsent = alices.type("A")
    bobs.doc.apply_update(await bob.sync())
    bobs.doc.apply_update(unsent)
    bobs.content.insert(0, "b")
    await bob.send(b"\x00\x01" + buf(bobs.doc.get_update()))
    await bob.until(lambda: len(bob.denials()) == 1)
    assert sorted(await bob.text()) == ["a", "b"]
    await alice.edit(unsent)
    assert sorted(await bob.text()) == ["A", "a", "b"]


@pytest.mark.parametrize("fault", [EngineFailure("panicked"), BaseException("no Exception at all")])
async def test_an_engine_that_fails_costs_the_sender_the_connection_and_nobody_else_anything(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    alice, mallory = await server.client("alice"), await server.client("mallory")
    writer, poison = Writer(7), Writer(8).type("poison")
    await alice.edit(writer.type("before "))
    engine_apply = Document._integrate

    def apply(document: Document, update: bytes) -> None:
        if update == poison:
            document.ydoc = None  # type: ignore[assignment]  # nothing can be done with it any more
            raise fault
        engine_apply(document, update)

    monkeypatch.setattr(Document, "_integrate", apply)
    await mallory.send(update_message(poison))
    assert await mallory.close_code() == CloseCode.MALFORMED
    await alice.edit(writer.type("after"))
    assert await (await server.client("bob")).text() == "before after"


async def test_shapes_stay_what_the_engine_counts(server: RunningServer) -> None:
    """The document's contents, kept beside the engine, must not drift from it."""
    client, writer = await server.client(), Writer(7)
    await client.edit(writer.type("some text"))
    await client.edit(writer.erase(2, 3))
    asker = await server.client("bob")
    await asker.until(lambda: len(asker.questions()) == 1)
    assert asker.questions()[0] == writer.doc.get_state()


async def test_an_unmasked_frame_ends_the_connection_alone(server: RunningServer) -> None:
    other = await server.client()
    async with connect(
        f"{server.url}/ws/{ROOM}?token={server.token('mallory')}", compression=None
    ) as mallory:
        await mallory.recv()
        mallory.transport.write(b"\x82\x01\x00")
        await mallory.wait_closed()
        assert mallory.close_code == CloseCode.PROTOCOL_ERROR
    assert await other.text() == ""
