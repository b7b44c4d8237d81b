"""A conflict is found though the server ended between the change and the record of it."""

import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from crdt_store.update_log import LogUnavailable
from server.files.conflict_checks import ConflictChecks
from server.files.conflict_desk import ConflictDesk
from server.protocol.yjs_messages import update_message
from tests.files.file_client import FileClient, file_client
from tests.wire.client import Writer
from tests.wire.conftest import DATABASE, RunningServer, run_server
from tests.wire.test_locked_files import PATH, held, replica, rest_of

START = "first\nsecond\nthird\n"


async def dead(*_: Any) -> Any:
    """What a crash leaves undone."""
    raise LogUnavailable("the server has ended")


def leave_it(data_dir: Path) -> None:
    """Time passes: whoever was at a job is at it no more."""
    with closing(sqlite3.connect(data_dir / DATABASE, isolation_level=None)) as connection:
        assert connection.execute("SELECT count(*) FROM jobs WHERE kind = 'file_conflicts'").fetchone()[0]
        assert connection.execute("SELECT count(*) FROM conflicts").fetchone()[0] == 0
        connection.execute("UPDATE jobs SET due_at_ms = 0")


async def conflict_of(file: FileClient) -> dict[str, Any]:
    with anyio.fail_after(10):
        while not (found := await file.conflicts()):
            await anyio.sleep(0.02)
    (conflict,) = found
    return conflict


async def test_a_change_over_http_that_was_saved_but_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_server(tmp_path) as server, file_client(server.url, server.token("alice"), PATH) as alice:
        etag = await alice.create(START)
        await alice.replace(etag, START.replace("second", "zweite"))
        with monkeypatch.context() as crash:
            crash.setattr(ConflictDesk, "keep", dead)
            async with file_client(server.url, server.token("bob"), PATH) as bob:
                body = START.replace("second", "deuxième").encode()
                assert (await bob.request("PUT", headers={"If-Match": etag}, content=body)).status_code == 503
    leave_it(tmp_path)
    async with run_server(tmp_path) as server, file_client(server.url, server.token("alice"), PATH) as alice:
        conflict = await conflict_of(alice)
        assert (conflict["yours"], conflict["theirs"]) == ("deuxième\n", "zweite\n")
        async with file_client(server.url, server.token("bob"), PATH) as bob:
            answer = await bob.replace(etag, START.replace("second", "deuxième"))  # asked again
        assert [each["id"] for each in answer["conflicts"]] == [conflict["id"]]
        assert len(await alice.conflicts()) == 1


async def hold_an_edit(server: RunningServer, stack: AsyncExitStack, **lock: object) -> Callable[[], Any]:
    """Alice has locked the file and changed its second line; after that bob's change of it is held."""
    rest = await rest_of(server, stack)
    alice, bob = await server.client("alice"), await server.client("bob")
    by_alice, by_bob = Writer(1), Writer(2)
    await alice.edit(by_alice.type(START))
    await replica(bob, by_bob)
    wanted = {"workspace_id": 1, "path": PATH, "kind": "lease", **lock}
    lock_id = (await rest.call("alice", "POST", "locks", wanted)).raise_for_status().json()["id"]
    by_alice.content.insert(6, "her ")
    await alice.edit(by_alice._updates[-1])
    by_bob.content.insert(6, "his ")
    await bob.send(update_message(by_bob._updates[-1]))
    await held(server, 1)
    return lambda: rest.unlock("alice", lock_id)


async def test_a_held_edit_that_was_merged_just_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(ConflictChecks, "__call__", dead)
        async with run_server(tmp_path) as server, AsyncExitStack() as stack:
            unlock = await hold_an_edit(server, stack)
            await unlock()
            async with file_client(server.url, server.token("alice"), PATH) as file:
                with anyio.fail_after(10):
                    while "his" not in (await file.read())[0]:
                        await anyio.sleep(0.02)
    leave_it(tmp_path)
    async with run_server(tmp_path) as server, file_client(server.url, server.token("alice"), PATH) as file:
        conflict = await conflict_of(file)
        assert (conflict["yours"], conflict["theirs"]) == ("his second\n", "her second\n")


async def test_a_lock_that_ended_while_the_server_was_down(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        await hold_an_edit(server, stack, ttl_seconds=1)
    await anyio.sleep(1)
    async with run_server(tmp_path) as server, file_client(server.url, server.token("alice"), PATH) as file:
        conflict = await conflict_of(file)
        assert (conflict["yours"], conflict["theirs"]) == ("his second\n", "her second\n")
