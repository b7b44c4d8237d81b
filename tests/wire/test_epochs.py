"""A replica of a document that was deleted or replaced since: told apart by its client ids, and kept out."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest
from pycrdt import Doc, Text

from auth.grants import Role
from crdt_store.engine import Database
from crdt_store.sql import SqlUpdateLog
from crdt_store.stale_updates import StaleUpdates
from crdt_store.update_log import LogUnavailable, UpdateLog
from server.protocol.merge_updates import merge_updates
from server.protocol.update_shape import check_update
from server.protocol.yjs_messages import sync_step_1, sync_step_2, update_message
from server.transport import connection_manager
from tests.documents_client import DocumentsClient, documents_client
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

HISTORY_CHANGED = 4409


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[DocumentsClient]:
    async with admin_of(server) as api:
        yield api


def admin_of(server: RunningServer) -> AbstractAsyncContextManager[DocumentsClient]:
    """The test's document, as an administrator sees it."""
    url = server.url.replace("ws://", "http://")
    return documents_client(url, server.token("root", Role.ADMIN), ROOM)


async def write(server: RunningServer, client_id: int, text: str, user: str = "alice") -> Writer:
    """A replica that has written this, and is not connected."""
    client, writer = await server.client(user), Writer(client_id)
    writer.doc.apply_update(await client.sync())
    await client.edit(writer.type(text))
    await client.connection.close()
    return writer


def text_of(update: bytes) -> str:
    doc: Doc[Text] = Doc()
    doc.apply_update(update)
    return str(doc.get("content", type=Text))


async def bring(client: WireClient, writer: Writer) -> tuple[int, str]:
    """Greet as a stock client does, with all that the replica has; the code and the reason of the close."""
    await client.send(sync_step_1(writer.doc.get_state()))
    await client.send(sync_step_2(writer.doc.get_update()))
    return await client.close_code(), client.connection.close_reason or ""


async def test_a_replica_of_a_deleted_document_is_kept_out_and_kept_aside(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = await write(server, 7, "old")
    await api.delete()
    await write(server, 8, "new", "bob")
    bob = await server.client("bob")
    await bob.sync()

    alice = await server.client("alice")
    code, reason = await bring(alice, writer)
    assert (code, "load it again" in reason) == (HISTORY_CHANGED, True)
    assert (alice.answers(), alice.updates(), alice.awareness()) == ([], [], [])
    assert await bob.text() == "new"
    assert bob.updates() == []
    (kept,) = await api.stale_updates()
    assert kept["size_bytes"] == len(writer.doc.get_update())
    assert await api.stale_update(kept["id"]) == writer.doc.get_update()


async def test_before_anything_is_written_again_the_old_content_is_kept_out_as_well(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = await write(server, 7, "old")
    await api.delete()
    assert (await bring(await server.client(), writer))[0] == HISTORY_CHANGED
    assert len(await api.stale_ids()) == 1
    assert await (await server.client()).text() == ""


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owes a copy may be silent for a quarter of a second, not for ten."""
    monkeypatch.setattr(connection_manager, "SWEEP_SECONDS", 0.05)


async def test_an_edit_that_names_the_old_content_is_kept_aside_if_no_answer_comes(
    server: RunningServer, api: DocumentsClient, impatience: None
) -> None:
    """Somebody else's client id, but after words of the old document, or in place of them."""
    writer = await write(server, 7, "old")
    other = Writer(9)
    other.doc.apply_update(writer.doc.get_update())
    await api.restore(await api.copy())
    edits = [other.type(" words"), other.erase(0, 3)]
    for edit in edits:
        client = await server.client("bob")
        await client.send(update_message(edit))
        assert await client.close_code() == HISTORY_CHANGED
    assert [await api.stale_update(stale_id) for stale_id in await api.stale_ids()] == edits


async def test_all_of_a_replica_is_kept_though_a_keystroke_comes_before_its_answer(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = await write(server, 7, "old")
    copy = await api.copy()
    writer.type(" and an afternoon's work")
    await api.restore(copy)
    client = await server.client()
    await client.send(sync_step_1(writer.doc.get_state()))
    await client.send(update_message(writer.type("!")))
    await client.send(sync_step_2(writer.doc.get_update()))
    assert await client.close_code() == HISTORY_CHANGED
    (stale_id,) = await api.stale_ids()
    assert await api.stale_update(stale_id) == writer.doc.get_update()
    await api.merge(stale_id)
    assert text_of(await api.copy()) == "old and an afternoon's work!"


async def test_a_member_that_hears_of_the_old_content_elsewhere_is_sent_away_with_all_it_has(
    server: RunningServer, api: DocumentsClient
) -> None:
    """As through another tab of its browser."""
    writer = await write(server, 7, "old")
    await api.delete()
    await write(server, 8, "new", "bob")
    carol = await server.client("carol")
    await carol.sync()
    await carol.send(update_message(writer.doc.get_update()))
    await carol.until(lambda: len(carol.questions()) == 2)
    await carol.send(sync_step_2(writer.doc.get_update()))
    assert await carol.close_code() == HISTORY_CHANGED
    assert len(await api.stale_ids()) == 1
    assert await (await server.client()).text() == "new"


async def test_who_says_who_it_is_before_it_asks_is_seen_once_it_has_asked(
    server: RunningServer, api: DocumentsClient
) -> None:
    await write(server, 7, "old")
    await api.restore(await api.copy())
    bob = await server.client("bob")
    await bob.sync()
    alice = await server.client("alice")
    await alice.show(1002, 1, b'{"user": {"name": "alice"}}')
    await alice.sync()
    await bob.until(lambda: 1002 in [entry.client_id for entry in bob.awareness()])


async def test_the_same_update_is_kept_once(server: RunningServer, api: DocumentsClient) -> None:
    writer = await write(server, 7, "old")
    await api.delete()
    for _ in range(3):
        await bring(await server.client(), writer)
    assert len(await api.stale_ids()) == 1
    writer.type(" and more")
    await bring(await server.client(), writer)
    assert len(await api.stale_ids()) == 2


async def test_a_viewer_with_old_content_is_told_and_nothing_of_it_is_kept(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = await write(server, 7, "old")
    await api.restore(await api.copy())
    viewer = await server.client("vera", role=Role.VIEWER)
    await viewer.send(sync_step_2(writer.doc.get_update()))
    await viewer.send(sync_step_1(writer.doc.get_state()))
    assert await viewer.close_code() == HISTORY_CHANGED
    assert "load it again" in viewer.denials()[-1]
    assert viewer.answers() == []
    assert await api.stale_ids() == []


async def test_beyond_the_limit_a_client_is_told_that_its_copy_was_not_kept(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_stale_bytes=100) as server, admin_of(server) as api:
        small, large = await write(server, 7, "old"), await write(server, 8, "long" * 30)
        await api.restore(await api.copy())
        code, reason = await bring(await server.client(), large)
        assert code == HISTORY_CHANGED
        assert "your copy was not kept" in reason
        assert await api.stale_ids() == []
        _, reason = await bring(await server.client(), small)
        assert "not kept" not in reason
        assert len(await api.stale_ids()) == 1


async def test_what_the_store_cannot_keep_aside_stays_with_the_client_that_may_come_back(
    server: RunningServer, api: DocumentsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await write(server, 7, "old")
    await api.delete()
    with monkeypatch.context() as broken:
        broken.setattr(StaleUpdates, "add", _refuse)
        assert (await bring(await server.client(), writer))[0] == 1011
    assert (await bring(await server.client(), writer))[0] == HISTORY_CHANGED
    assert len(await api.stale_ids()) == 1


async def _refuse(*_: object) -> None:
    raise LogUnavailable("refused by the test")


async def test_who_asks_with_an_old_state_and_brings_nothing_is_sent_away_in_the_end(
    server: RunningServer, api: DocumentsClient, impatience: None
) -> None:
    writer = await write(server, 7, "old")
    await api.restore(await api.copy())
    client = await server.client()
    await client.send(sync_step_1(writer.doc.get_state()))
    assert await client.close_code() == HISTORY_CHANGED
    assert client.answers() == []
    assert "nothing of yours was kept" in (client.connection.close_reason or "")


async def test_who_has_shown_nothing_yet_is_shown_nothing_and_not_seen(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = await write(server, 7, "old")
    await api.restore(await api.copy())
    bob = await server.client("bob")
    await bob.sync()
    await bob.show(1001, 1, b'{"user": {"name": "bob"}}')

    alice = await server.client("alice")
    await alice.show(1002, 1, b'{"user": {"name": "alice"}}')
    await bob.edit(Writer(9).type("secret"))
    await bring(alice, writer)
    assert [message for message in alice.received if message[:2] != b"\0\0"] == []
    await bob.sync()
    assert 1002 not in [entry.client_id for entry in bob.awareness()]

    # Whoever has nothing is let in by its question.
    carol = await server.client("carol")
    await carol.sync()
    await carol.until(lambda: 1001 in [entry.client_id for entry in carol.awareness()])


async def test_new_client_ids_are_welcome_after_a_new_beginning(
    server: RunningServer, api: DocumentsClient
) -> None:
    await write(server, 7, "one")
    await api.restore(await api.copy())
    writer = await write(server, 8, " two", "bob")
    writer.type(" three")
    bob = await server.client("bob")
    await bob.send(sync_step_1(writer.doc.get_state()))
    await bob.send(sync_step_2(writer.doc.get_update()))
    assert await (await server.client()).text() == "one two three"
    assert await api.stale_ids() == []


async def test_authors_keep_what_is_theirs_under_its_new_ids(
    server: RunningServer, api: DocumentsClient
) -> None:
    await write(server, 7, "alice's", "alice")
    await write(server, 8, ", bob's", "bob")
    await api.restore(await api.copy())
    copy = await api.copy()
    assert text_of(copy) == "alice's, bob's"
    alices, bobs = sorted(check_update(copy).structs)  # in the same order
    assert {alices, bobs}.isdisjoint({7, 8})

    for user, refused in (("alice", bobs), ("bob", alices)):
        client = await server.client(user)
        await client.send(update_message(_continue(copy, refused)))
        assert await client.close_code() == 4403
    for user, own in (("alice", alices), ("bob", bobs)):
        await (await server.client(user)).edit(_continue(copy, own))
    assert (await (await server.client()).text()).count("!") == 2


def _continue(copy: bytes, client_id: int) -> bytes:
    """An edit of a replica that goes on under an id which the copy has already."""
    writer = Writer(client_id)
    writer.doc.apply_update(copy)
    return writer.type("!")


async def test_what_is_merged_counts_as_written_by_who_brought_it(tmp_path: Path) -> None:
    logs: list[UpdateLog] = []

    def open_log(database: Database) -> UpdateLog:
        logs.append(SqlUpdateLog(database))
        return logs[0]

    async with run_server(tmp_path, open_log=open_log) as server, admin_of(server) as api:
        writer = await write(server, 7, "alice's")
        (first,) = [stored.row async for stored in logs[0].read(ROOM)]
        copy = await api.copy()
        writer.type(" later words")
        await api.restore(copy)
        await bring(await server.client(), writer)
        (kept,) = await api.stale_updates()
        assert kept["author_id"] == first.author_id
        await api.merge(kept["id"])
        rows = [stored.row async for stored in logs[0].read(ROOM)]
    assert rows[-1].author_id == first.author_id != rows[0].author_id


async def test_a_merge_reaches_live_members_as_an_edit_and_brings_words_once(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = await write(server, 7, "one")
    copy = await api.copy()
    writer.type(" offline")
    for epoch in (2, 3):  # the old names lead to the current ones over every epoch in between
        assert await api.restore(copy) == epoch
        copy = await api.copy()
    await bring(await server.client(), writer)
    bob = await server.client("bob")
    await bob.sync()
    (stale_id,) = await api.stale_ids()
    await api.merge(stale_id)
    await bob.until(lambda: len(bob.updates()) == 1)
    assert await bob.text() == "one offline"
    assert await api.stale_ids() == []


async def test_a_copy_that_is_restored_twice_takes_offline_words_of_every_epoch_in_once(
    server: RunningServer, api: DocumentsClient
) -> None:
    first = await write(server, 7, "one")
    copy = await api.copy()
    first.type(" two")
    await api.restore(copy)
    second = Writer(9)
    second.doc.apply_update(await api.copy())
    second.type(" three")
    assert await api.restore(copy) == 3
    for writer in (first, second):
        await bring(await server.client(), writer)
    for stale_id in await api.stale_ids():
        await api.merge(stale_id)
    text = await (await server.client()).text()
    assert sorted(text.split()) == ["one", "three", "two"]


async def test_a_merge_of_a_deletion_deletes_again(server: RunningServer, api: DocumentsClient) -> None:
    """Kept aside it does nothing; merged it is all of what the client had done."""
    writer = await write(server, 7, "one two")
    copy = await api.copy()
    await (await server.client()).edit(writer.erase(3, 4))
    await api.restore(copy)
    await bring(await server.client(), writer)
    assert await (await server.client()).text() == "one two"
    (stale_id,) = await api.stale_ids()
    await api.merge(stale_id)
    assert await (await server.client()).text() == "one"


async def test_members_are_told_to_come_back_when_their_document_is_replaced(
    server: RunningServer, api: DocumentsClient
) -> None:
    await write(server, 7, "one")
    copy = await api.copy()
    for begin_anew in (api.restore(copy), api.delete()):
        member = await server.client("bob")
        await member.sync()
        await begin_anew
        assert await member.close_code() == 1012


async def test_what_was_written_a_moment_before_a_new_beginning_is_not_part_of_it(
    server: RunningServer, api: DocumentsClient
) -> None:
    """Written or not when the new epoch began: either way its author holds it, and it is kept aside."""
    writer = await write(server, 7, "one")
    copy = await api.copy()
    client = await server.client()
    for letter in "abcdefgh":
        await client.send(update_message(writer.type(letter)))
    await api.restore(copy)
    assert await client.close_code() == 1012
    assert await (await server.client("bob")).text() == "one"
    await bring(await server.client(), writer)
    (stale_id,) = await api.stale_ids()
    assert text_of(await api.stale_update(stale_id)) == "oneabcdefgh"


async def test_epochs_outlive_the_server(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server, admin_of(server) as api:
        restored, writer = await write(server, 7, "one"), Writer(8)
        await api.restore(await api.copy())
    async with run_server(tmp_path) as server, admin_of(server) as api:
        assert (await api.describe())["epoch"] == 2
        assert (await bring(await server.client(), restored))[0] == HISTORY_CHANGED
        client = await server.client("bob")
        await client.edit(writer.type("two "))
        await api.delete()
    async with run_server(tmp_path) as server, admin_of(server) as api:
        for replica in (restored, writer):
            assert (await bring(await server.client(), replica))[0] == HISTORY_CHANGED
        await write(server, 9, "three")
        assert (await api.describe())["epoch"] == 3


async def test_a_template_by_another_program_of_the_same_client_id_does_not_pass_for_the_old_text(
    server: RunningServer, api: DocumentsClient
) -> None:
    alice = await write(server, 1, "Alice's chapter. ")
    alice.type("Her offline words.")
    script = Writer(1)
    script.type("A template that is longer than all that was ever there before. ")
    await api.restore(script.doc.get_update())
    await bring(await server.client(), alice)
    (stale_id,) = await api.stale_ids()
    await api.merge(stale_id)
    text = text_of(await api.copy())
    assert (text.count("Alice's chapter. Her offline words."), text.count("A template")) == (1, 1)


async def test_what_contradicts_the_document_stays_aside(server: RunningServer, api: DocumentsClient) -> None:
    """Somebody has brought an edit under another's client id, and it was merged."""
    alice = await write(server, 7, "one")
    copy = await api.copy()
    alice.type(" by alice, offline")
    forger = Writer(7)
    forger.doc.apply_update(copy)
    forger.type(" by mallory, in her name")
    await api.restore(copy)
    for user, writer in (("mallory", forger), ("alice", alice)):
        await bring(await server.client(user), writer)
    forged, honest = await api.stale_ids()
    await api.merge(forged)
    answer = await api.request("POST", f"stale-update/{honest}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "update_contradicts")
    assert await api.stale_ids() == [honest]


@pytest.mark.parametrize("delay_seconds", [0, 0.002, 0.005, 0.01, 0.03])
async def test_a_merge_during_a_restore_puts_nothing_in_twice(
    server: RunningServer, api: DocumentsClient, delay_seconds: float
) -> None:
    writer = await write(server, 7, "one")
    copy = await api.copy()
    writer.type(" offline")
    await api.restore(copy)
    await bring(await server.client(), writer)
    (stale_id,) = await api.stale_ids()

    async def restore() -> None:
        await anyio.sleep(delay_seconds)
        await api.restore(copy)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restore)
        answer = await api.request("POST", f"stale-update/{stale_id}")
    assert answer.status_code in (204, 503)
    text = text_of(await api.copy())
    assert text.count("one") == 1
    if answer.status_code == 503:
        assert await api.stale_ids() == [stale_id]


async def test_a_copy_put_back_after_a_deletion_takes_offline_words_in_once(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = await write(server, 7, "one")
    copy = await api.copy()
    writer.type(" offline")
    await api.delete()
    await api.restore(copy)
    assert (await bring(await server.client(), writer))[0] == HISTORY_CHANGED
    (stale_id,) = await api.stale_ids()
    await api.merge(stale_id)
    assert text_of(await api.copy()) == "one offline"


async def test_half_an_update_is_not_taken_for_a_document(
    server: RunningServer, api: DocumentsClient
) -> None:
    await write(server, 5, "as it was")
    whole, part = Writer(7), Writer(8)
    whole.type("kept. ")
    part.type("never sent")
    content = merge_updates([whole.doc.get_update(), part.type(" lost tail")])
    answer = await api.request("PUT", "copies", content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "malformed_update")
    assert text_of(await api.copy()) == "as it was"
