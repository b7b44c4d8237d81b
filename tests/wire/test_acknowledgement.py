"""Saved means committed: what an author is told, and when."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import pytest
from pycrdt import Doc, Text

from crdt_store.effects import Effect
from crdt_store.engine import Database
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import LogUnavailable, Row, StoredRow
from server.protocol.closing import CloseCode
from server.protocol.merge_updates import merge_updates
from server.protocol.yjs_messages import sync_step_1, sync_step_2, update_message
from tests.wire.client import Writer
from tests.wire.conftest import RunningServer, run_server


class Disk:
    """A log whose disk stands still while `stalled`, and fails while `broken`."""

    def __init__(self) -> None:
        self.running = anyio.Event()
        self.running.set()
        self.broken = False
        self.append_begun = anyio.Event()

    def stall(self) -> None:
        self.running = anyio.Event()
        self.append_begun = anyio.Event()

    async def wait_append_begun(self) -> None:
        with anyio.fail_after(10):
            await self.append_begun.wait()

    def open(self, database: Database) -> "_SlowLog":
        return _SlowLog(database, self)


class _SlowLog(SqlUpdateLog):
    def __init__(self, database: Database, disk: Disk) -> None:
        super().__init__(database)
        self._disk = disk

    async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
        self._disk.append_begun.set()
        await self._disk.running.wait()
        if self._disk.broken:
            raise LogUnavailable("disk I/O error")
        await super().append(rows, effects)

    async def read(self, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
        if self._disk.broken and "broken" in document:
            raise LogUnavailable("disk I/O error")
        async for row in super().read(document, after=after):
            yield row


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def slow_server(tmp_path: Path, disk: Disk) -> AsyncIterator[RunningServer]:
    async with run_server(tmp_path, open_log=disk.open) as running:
        yield running
        disk.running.set()


async def test_peers_see_an_edit_at_once_and_its_author_once_it_is_saved(
    slow_server: RunningServer, disk: Disk
) -> None:
    alice, bob = await slow_server.client("alice"), await slow_server.client("bob")
    await bob.sync()
    disk.stall()
    update = Writer(7).type("x")
    await alice.send(update_message(update))
    await bob.until(lambda: bob.updates() == [update])
    assert alice.updates() == []
    disk.running.set()
    await alice.until(lambda: alice.updates() == [update])


async def test_a_sync_status_comes_back_once_the_edits_before_it_are_saved(
    slow_server: RunningServer, disk: Disk
) -> None:
    alice, bob = await slow_server.client("alice"), await slow_server.client("bob")
    await bob.sync()
    disk.stall()
    update, status = Writer(7).type("x"), b"\x66\x01\x01"
    await alice.send(update_message(update) + status)
    await bob.until(lambda: bob.heard(update))
    await bob.show(9, 1, b"{}")
    await alice.until(lambda: len(alice.awareness()) == 1)
    assert status not in alice.received
    disk.running.set()
    await alice.until(lambda: status in alice.received and alice.heard(update))


async def test_an_answer_holds_nothing_that_is_not_saved(slow_server: RunningServer, disk: Disk) -> None:
    """A client with `resyncInterval` would take its own structs in it for saved."""
    alice, writer = await slow_server.client("alice"), Writer(7)
    await alice.edit(writer.type("saved "))
    disk.stall()
    await alice.send(update_message(writer.type("not yet")))
    for _ in range(3):
        await alice.send(sync_step_1(b"\x00"))
    bob = await slow_server.client("bob")
    await bob.send(sync_step_1(b"\x00"))
    await bob.until(lambda: len(bob.questions()) == 1)
    assert alice.answers() == bob.answers() == []
    disk.running.set()
    await alice.until(lambda: len(alice.answers()) == 1 and len(alice.updates()) == 2)
    assert read_text(alice.answers()[0]) == "saved not yet"


async def test_another_tab_that_brings_an_edit_first_does_not_make_it_saved(
    slow_server: RunningServer, disk: Disk
) -> None:
    tab, other_tab, writer = await slow_server.client("alice"), await slow_server.client("alice"), Writer(7)
    await tab.edit(writer.type("saved "))
    await other_tab.sync()
    disk.stall()
    update = writer.type("not yet")
    await other_tab.send(sync_step_2(update))
    await disk.wait_append_begun()
    await tab.send(b"\x03")
    await tab.show(7, 1, b"{}")
    await other_tab.until(lambda: len(other_tab.awareness()) == 1)
    assert not tab.heard(update)
    disk.running.set()
    await tab.until(lambda: tab.heard(update))


async def test_who_lags_while_its_first_answer_waits_gets_all_of_it(tmp_path: Path, disk: Disk) -> None:
    async with run_server(tmp_path, open_log=disk.open, max_outbox_bytes=100_000) as server:
        alice, writer = await server.client("alice"), Writer(7)
        await alice.edit(writer.type("the beginning "))
        disk.stall()
        await alice.send(update_message(writer.type("and ")))
        bob = await server.client("bob")
        await bob.until(lambda: len(bob.questions()) == 1)
        await bob.send(sync_step_1(b"\x00"))
        bob.connection.transport.pause_reading()
        for _ in range(50):
            await alice.send(update_message(writer.type("x" * 200_000)))
        carol = await server.client("carol")
        await carol.until(lambda: len(carol.questions()) == 1)
        bob.connection.transport.resume_reading()
        disk.running.set()
        await bob.until(lambda: len(bob.answers()) >= 1)
        doc: Doc[Text] = Doc()
        doc.apply_update(bob.answers()[0])
        assert "the beginning" in str(doc.get("content", type=Text))
        with anyio.fail_after(10):
            while str(doc.get("content", type=Text)) != str(writer.content):
                await alice.sync(writer.doc.get_state())  # reads, so that the server reads on
                doc.apply_update(await bob.sync(doc.get_state()))


async def test_saved_edits_are_sent_back_after_a_reconnect(slow_server: RunningServer, disk: Disk) -> None:
    """The echo may have been lost with the connection before: by client id in awareness or in an edit."""
    alice, writer = await slow_server.client("alice"), Writer(7)
    await alice.sync()
    disk.stall()
    await alice.send(update_message(writer.type("cut off")))
    await disk.wait_append_begun()
    alice.connection.transport.abort()
    disk.running.set()
    by_awareness = await slow_server.client("alice")
    await by_awareness.send(sync_step_1(writer.doc.get_state()))
    await by_awareness.show(7, 1, b"{}")
    await by_awareness.until(lambda: [read_text(u) for u in by_awareness.updates()] == ["cut off"])
    by_edit = await slow_server.client("alice")
    await by_edit.edit(writer.type("!"))
    assert "cut off!" in [read_text(update) for update in by_edit.updates()]


async def test_a_resent_edit_is_acknowledged_and_not_stored_twice(server: RunningServer) -> None:
    client, update = await server.client(), Writer(7).type("once")
    await client.edit(update)
    again = await server.client()
    await again.edit(update)
    assert await again.text() == "once"


async def test_an_edit_with_a_gap_before_it_is_not_acknowledged_until_the_gap_is_filled(
    server: RunningServer,
) -> None:
    alice, bob, writer = await server.client("alice"), await server.client("bob"), Writer(7)
    first, second, third = writer.type("1"), writer.type("2"), writer.type("3")
    await alice.edit(first)
    await alice.send(update_message(third))
    await alice.until(lambda: len(alice.questions()) == 2)
    assert await bob.text() == "1"
    assert not alice.heard(third)
    await alice.send(update_message(second))
    await alice.until(lambda: alice.heard(second) and alice.heard(third))
    assert await bob.text() == "123"


async def test_a_gap_is_filled_by_the_resync_that_was_asked_for(server: RunningServer) -> None:
    alice, writer = await server.client("alice"), Writer(7)
    for word in ("lost ", "lost too "):
        writer.type(word)
    last = writer.type("sent")
    await alice.send(update_message(last))
    await alice.until(lambda: len(alice.questions()) == 2)
    await alice.send(sync_step_2(writer.doc.get_update()))
    await alice.until(lambda: len(alice.updates()) >= 1)
    assert await alice.text() == "lost lost too sent"


async def test_what_is_ready_of_a_reply_with_a_gap_is_taken(server: RunningServer) -> None:
    alice, writer, other = await server.client("alice"), Writer(7), Writer(8)
    writer.type("missing ")
    after_gap = writer.type("late")
    whole = other.type("whole")
    await alice.send(sync_step_2(merge_updates([whole, after_gap])))
    await alice.until(lambda: len(alice.updates()) == 1)
    assert await alice.text() == "whole"
    await alice.send(sync_step_2(writer.doc.get_update()))
    await alice.until(lambda: len(alice.updates()) >= 3)
    assert sorted(await alice.text()) == sorted("wholemissing late")


async def test_a_failing_disk_acknowledges_nothing_and_sends_everybody_away(
    slow_server: RunningServer, disk: Disk
) -> None:
    alice, bob, writer = await slow_server.client("alice"), await slow_server.client("bob"), Writer(7)
    await alice.edit(writer.type("saved"))
    disk.broken = True
    await alice.send(update_message(writer.type(" lost")))
    assert await alice.close_code() == CloseCode.INTERNAL_ERROR
    assert await bob.close_code() == CloseCode.INTERNAL_ERROR
    assert len(alice.updates()) == 1
    disk.broken = False
    again = await slow_server.client("alice")
    assert await again.text() == "saved"
    await again.send(sync_step_2(writer.doc.get_update()))
    await again.until(lambda: len(again.updates()) >= 1)
    assert await again.text() == "saved lost"


async def test_what_others_were_shown_before_a_failure_is_taken_from_them(
    slow_server: RunningServer, disk: Disk
) -> None:
    """Its author may never come back, and they build on it."""
    alice, bob = await slow_server.client("alice"), await slow_server.client("bob")
    alices, bobs = Writer(7), Writer(8)
    await alice.edit(alices.type("saved"))
    bobs.doc.apply_update(await bob.sync())
    disk.broken = True
    shown = alices.type(" shown")
    await alice.send(update_message(shown))
    await bob.until(lambda: bob.heard(shown))
    bobs.doc.apply_update(shown)
    assert await bob.close_code() == CloseCode.INTERNAL_ERROR
    disk.broken = False
    again = await slow_server.client("bob")
    bobs.type(", built on")
    await again.send(sync_step_2(bobs.doc.get_update()))
    await again.until(lambda: len(again.updates()) >= 1)
    assert again.denials() == []
    assert await (await slow_server.client("carol")).text() == "saved shown, built on"


async def test_a_document_that_cannot_be_read_is_refused_and_the_others_go_on(
    slow_server: RunningServer, disk: Disk
) -> None:
    other = await slow_server.client(room="workspace:1/other")
    await other.sync()
    disk.broken = True
    client = await slow_server.client(room="workspace:1/broken")
    assert await client.close_code() == CloseCode.INTERNAL_ERROR
    assert client.answers() == []
    assert await other.text() == ""
    disk.broken = False
    assert await (await slow_server.client(room="workspace:1/broken")).text() == ""


async def test_edits_beyond_the_limit_of_the_uncommitted_wait_in_the_socket(
    tmp_path: Path, disk: Disk
) -> None:
    async with run_server(tmp_path, open_log=disk.open, max_uncommitted_bytes=1000) as server:
        alice, bob, writer = await server.client("alice"), await server.client("bob"), Writer(7)
        await bob.sync()
        disk.stall()
        updates = [writer.type("x" * 200) for _ in range(20)]
        for update in updates:
            await alice.send(update_message(update))
        await bob.until(lambda: bob.heard(updates[4]))
        assert not bob.heard(updates[-1])
        disk.running.set()
        await alice.until(lambda: all(alice.heard(update) for update in updates))


def read_text(update: bytes) -> str:
    doc: Doc[Text] = Doc()
    doc.apply_update(update)
    return str(doc.get("content", type=Text))
