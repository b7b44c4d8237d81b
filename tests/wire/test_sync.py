"""The handshake and the flow of updates, byte for byte."""

from pathlib import Path

from pycrdt import Doc, Text

from server.protocol.yjs_messages import KEEPALIVE, sync_step_1, sync_step_2, update_message
from tests.wire.client import Writer
from tests.wire.conftest import RunningServer, run_server


async def test_a_joiner_is_asked_for_what_the_server_lacks(server: RunningServer) -> None:
    client = await server.client()
    await client.until(lambda: len(client.received) == 1)
    assert client.received == [b"\x00\x00\x01\x00"]


async def test_an_empty_document_is_answered_with_an_empty_update(server: RunningServer) -> None:
    client = await server.client()
    assert await client.sync() == b"\x00\x00"


async def test_an_update_reaches_the_others_in_its_own_bytes_and_comes_back_to_its_author(
    server: RunningServer,
) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await bob.sync()
    update = Writer(7).type("hi")
    await alice.edit(update)
    await bob.until(lambda: bob.updates() == [update])
    assert alice.updates() == [update]


async def test_a_newcomer_gets_everything_in_one_answer(server: RunningServer) -> None:
    alice, writer = await server.client("alice"), Writer(7)
    for word in ("one ", "two ", "three"):
        await alice.edit(writer.type(word))
    bob = await server.client("bob")
    assert await bob.text() == "one two three"
    assert len(bob.answers()) == 1


async def test_a_returning_client_gets_only_what_it_lacks(server: RunningServer) -> None:
    alice, writer = await server.client("alice"), Writer(7)
    await alice.edit(writer.type("a long beginning, known already"))
    known: Doc[Text] = Doc()
    known.apply_update(await alice.sync())
    await alice.edit(writer.type("!"))
    bob = await server.client("bob")
    assert len(await bob.sync(known.get_state())) < 20


async def test_one_frame_may_hold_several_messages(server: RunningServer) -> None:
    client, writer = await server.client(), Writer(7)
    first, second = writer.type("a"), writer.type("b")
    await client.send(update_message(first) + update_message(second) + sync_step_1(b"\x00"))
    await client.until(lambda: client.heard(first) and client.heard(second) and len(client.answers()) == 1)


async def test_a_bare_sync_step_1_and_bytes_after_a_query_are_tolerated(server: RunningServer) -> None:
    client = await server.client()
    await client.send(b"\x00\x00")
    await client.send(b"\x03\x05hello")
    assert await client.text() == ""


async def test_what_is_offline_on_the_client_is_taken_from_its_answer(server: RunningServer) -> None:
    alice, writer = await server.client("alice"), Writer(7)
    writer.type("written ")
    writer.type("offline")
    await alice.send(sync_step_2(writer.doc.get_update()))
    await alice.until(lambda: len(alice.updates()) == 1)
    assert await (await server.client("bob")).text() == "written offline"


async def test_known_deletions_are_not_stored_again(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server:
        alice, bob, writer = await server.client("alice"), await server.client("bob"), Writer(7)
        await alice.edit(writer.type("hello"))
        await alice.edit(writer.erase(1, 3))
        await bob.sync()
        await alice.send(sync_step_2(b"\x00" + writer.doc.get_update(writer.doc.get_state())[1:]))
        await alice.edit(writer.type("!"))
        await bob.until(lambda: len(bob.updates()) > 0)
        await bob.until(lambda: bob.updates()[-1] == alice.updates()[-1])
        assert len(bob.updates()) <= 3, "the deletions that everybody knew were sent round again"


async def test_quiet_members_are_kept_alive(tmp_path: Path) -> None:
    async with run_server(tmp_path, keepalive_seconds=4) as server:
        client = await server.client()
        await client.until(lambda: KEEPALIVE in client.received)


async def test_documents_survive_a_restart(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server:
        client = await server.client()
        await client.edit(Writer(7).type("kept"))
    async with run_server(tmp_path) as server:
        assert await (await server.client()).text() == "kept"


async def test_rooms_do_not_mix(server: RunningServer) -> None:
    one = await server.client(room="workspace:1/a")
    await one.edit(Writer(7).type("in a"))
    assert await (await server.client(room="workspace:1/a/b")).text() == ""
    assert await (await server.client(room="workspace:11/a")).text() == ""
