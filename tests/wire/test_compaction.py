"""Snapshots are made behind open rooms: nobody notices, and nothing is lost or doubled."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from pycrdt import Doc, Text

from auth.grants import Role
from crdt_store.compaction import CondenseFailed
from server import app
from server.engine.condenser import Condenser, EngineKeepsFailing
from server.protocol.yjs_messages import update_message
from tests.documents_client import DocumentsClient, documents_client
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import ROOM, RunningServer, run_server
from tests.wire.test_rooms import rooms_of, wait_until_closed

WORTH_A_SNAPSHOT = 200  # updates of a document that nobody writes to any more
COMPACTIONS = 4
ONLY_AT_THE_END = {"compaction_quiet_seconds": 3600.0, "compaction_max_age_seconds": 3600.0}


@asynccontextmanager
async def serve(data_dir: Path, **options: object) -> AsyncIterator[tuple[RunningServer, DocumentsClient]]:
    """A server, and somebody who looks at what is stored of the test's document."""
    async with run_server(data_dir, **options) as server:  # type: ignore[arg-type]
        token = server.token("root", Role.ADMIN)
        async with documents_client(server.url.replace("ws://", "http://"), token, ROOM) as api:
            yield server, api


async def write(client: WireClient, writer: Writer, count: int) -> None:
    """So many updates in one go; returns when the last one is saved."""
    updates = [writer.type(f"{writer.doc.client_id}.{len(writer.content)} ") for _ in range(count)]
    for update in updates:
        await client.send(update_message(update))
    await client.until(lambda: client.heard(updates[-1]))


async def compacted_seq(api: DocumentsClient) -> int:
    return int((await api.describe())["compacted_seq"])


async def all_compacted(api: DocumentsClient) -> None:
    """Until a snapshot stands for all rows."""
    with anyio.fail_after(20):
        while (about := await api.describe())["compacted_seq"] < about["last_seq"]:
            await anyio.sleep(0.02)


def stored(data_dir: Path) -> tuple[int, int]:
    """Of a stopped server: rows of the document's log, and the seq that snapshots reach."""
    connection = sqlite3.connect(data_dir / "costudio.db")
    of_room = "document_id = (SELECT id FROM documents WHERE name = ?)"
    (rows,) = connection.execute(f"SELECT count(*) FROM updates WHERE {of_room}", [ROOM]).fetchone()
    (reached,) = connection.execute("SELECT compacted_seq FROM documents WHERE name = ?", [ROOM]).fetchone()
    connection.close()
    return rows, reached


async def test_a_document_is_compacted_many_times_while_two_people_type(tmp_path: Path) -> None:
    async with serve(tmp_path, compaction_max_updates=50) as (server, api):
        reader = await server.client("reader")
        replica: Doc[Text] = Doc()
        replica.apply_update(await reader.sync())
        typists = [(await server.client(name), Writer(7 + number)) for number, name in enumerate("ab")]
        reached = {0}
        with anyio.fail_after(60):
            while len(reached) <= COMPACTIONS:
                async with anyio.create_task_group() as tasks:
                    for client, writer in typists:
                        tasks.start_soon(write, client, writer, 10)
                reached.add(await compacted_seq(api))
        expected = "".join(str(writer.content) for _, writer in typists)
        assert sorted(expected.split()) == sorted(set(expected.split()))
        await reader.sync()
        for update in (*reader.updates(), *reader.answers()):
            replica.apply_update(update)
        assert str(replica.get("content", type=Text)) == expected
        assert await (await server.client("newcomer")).text() == expected
    async with serve(tmp_path) as (server, _):
        assert await (await server.client()).text() == expected


async def test_a_returning_client_is_sent_nothing_twice_after_a_compaction(tmp_path: Path) -> None:
    """Clocks go on over a snapshot: a diff against it is as small as against the log."""
    async with serve(tmp_path, compaction_max_updates=1, room_linger_seconds=0) as (server, api):
        client, writer = await server.client(), Writer(7)
        await write(client, writer, 20)
        await all_compacted(api)
        await client.connection.close()
        await wait_until_closed(rooms_of(server))
        returning = await server.client()
        assert await returning.sync(writer.doc.get_state()) == b"\0\0"
        await write(returning, writer, 5)
        assert await (await server.client("bob")).text() == str(writer.content)


@pytest.mark.parametrize("is_worth_it", [False, True])
async def test_a_room_that_closes_leaves_a_snapshot_if_it_is_worth_one(
    tmp_path: Path, is_worth_it: bool
) -> None:
    count = WORTH_A_SNAPSHOT if is_worth_it else WORTH_A_SNAPSHOT - 1
    async with serve(tmp_path, room_linger_seconds=0, **ONLY_AT_THE_END) as (server, api):
        client = await server.client()
        await write(client, Writer(7), count)
        assert await compacted_seq(api) == 0
        await client.connection.close()
        await wait_until_closed(rooms_of(server))
        if is_worth_it:
            await all_compacted(api)
    rows, reached = stored(tmp_path)
    assert (rows == 0, reached > 0) == (is_worth_it, is_worth_it)


@pytest.mark.parametrize("is_worth_it", [False, True])
async def test_a_server_that_stops_leaves_a_snapshot_if_it_is_worth_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_worth_it: bool
) -> None:
    policy = app._compaction_policy
    monkeypatch.setattr(
        app, "_compaction_policy", lambda settings: replace(policy(settings), stop_seconds=30)
    )
    count, writer = WORTH_A_SNAPSHOT if is_worth_it else WORTH_A_SNAPSHOT - 1, Writer(7)
    async with serve(tmp_path, **ONLY_AT_THE_END) as (server, api):
        await write(await server.client(), writer, count)
        assert await compacted_seq(api) == 0
    rows, reached = stored(tmp_path)
    assert (rows == 0, reached > 0) == (is_worth_it, is_worth_it)
    async with serve(tmp_path) as (server, api):
        assert await (await server.client()).text() == str(writer.content)


async def test_a_quiet_document_is_compacted_while_its_members_stay(tmp_path: Path) -> None:
    async with serve(tmp_path, compaction_quiet_seconds=0.01) as (server, api):
        client, writer = await server.client(), Writer(7)
        await write(client, writer, WORTH_A_SNAPSHOT)
        await all_compacted(api)
        await write(client, writer, 1)
        assert await (await server.client()).text() == str(writer.content)


@pytest.mark.parametrize("has_crashed", [False, True])
async def test_after_a_crash_a_document_is_condensed_elsewhere_before_it_is_opened(
    tmp_path: Path, has_crashed: bool
) -> None:
    writer = Writer(7)
    async with serve(tmp_path, **ONLY_AT_THE_END) as (server, _):
        await write(await server.client(), writer, 3)
    if has_crashed:
        (tmp_path / "running").touch()
    async with serve(tmp_path, **ONLY_AT_THE_END) as (server, api):
        before = await api.describe()
        assert before["compacted_seq"] == 0
        assert await (await server.client()).text() == str(writer.content)
        assert await compacted_seq(api) == (before["last_seq"] if has_crashed else 0)


async def test_a_new_epoch_is_compacted_like_the_first(tmp_path: Path) -> None:
    async with serve(tmp_path, compaction_max_updates=20) as (server, api):
        first = Writer(7)
        await write(await server.client(), first, 30)
        await api.restore(await api.copy())
        second = Writer(8)
        client = await server.client("bob")
        second.doc.apply_update(await client.sync())
        await write(client, second, 30)
        await all_compacted(api)
        assert await (await server.client()).text() == str(second.content)
    async with serve(tmp_path) as (server, api):
        assert await (await server.client()).text() == str(second.content)
        assert str(second.content).startswith(str(first.content))


@pytest.mark.parametrize(
    ("failure", "opens"),
    [(CondenseFailed("no process could be started"), True), (EngineKeepsFailing("eight times"), False)],
)
async def test_after_a_crash_a_document_opens_unless_it_is_what_crashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: CondenseFailed, opens: bool
) -> None:
    writer = Writer(1)
    async with serve(tmp_path) as (server, _):
        await write(await server.client(), writer, 3)
    (tmp_path / "running").touch()

    async def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(Condenser, "condense", fail)
    async with serve(tmp_path) as (server, _):
        client = await server.client()
        if opens:
            assert await client.text() == str(writer.content)
        else:
            assert await client.close_code() == 1011
