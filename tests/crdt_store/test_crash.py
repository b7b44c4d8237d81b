"""kill -9 at any moment: what was acknowledged is there, once, in order, and so is everything before it."""

import asyncio
import multiprocessing
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import pytest

from crdt_store.engine import create_engine
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import Head
from tests.acceptance.log_rows import contents, opened
from tests.crdt_store.crash_child import DOCUMENTS, REPLACED, edit_for_ever
from tests.services.postgres import PostgresServer, postgres_server

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "40"))  # of each database; `make soak` asks for more
SERVER_ROUNDS = max(5, ROUNDS // 20)
ROUNDS_PER_GENERATION = 8  # then new documents: a long history takes long to read
SEED = 1

# Forked from a process that has loaded everything, so that a round takes milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.crdt_store.crash_child"])

Stored = dict[str, tuple[list[bytes], Head]]


@dataclass
class Acknowledged:
    """The greatest number that was reported of each kind, for each document."""

    numbers: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    count: int = 0

    def add(self, done: str, name: str, number: int) -> None:
        assert number > self.numbers[done][name]
        self.numbers[done][name] = number
        self.count += 1

    def saved(self) -> int:
        return sum(self.numbers["saved"].values())


def run_rounds(
    url: str,
    rounds: int,
    settle: Callable[[], None],
    kill: Callable[[], None] | None,
    record_property: Callable[[str, object], None],
) -> None:
    """`kill` ends what is to be killed, by default the child; `settle` waits until the database is at rest."""
    moments = random.Random(SEED)
    before: Stored = {}
    totals = {"rounds": rounds, "updates": 0, "compactions": 0, "epochs": 0}
    for turn in range(rounds):
        generation = f"{turn // ROUNDS_PER_GENERATION}:"
        if turn % ROUNDS_PER_GENERATION == 0:
            before = {name: ([], Head()) for name in DOCUMENTS}
        acknowledged = _edit_until_killed(url, generation, turn, moments, kill)
        settle()
        stored = asyncio.run(_read(url, generation))
        for name in DOCUMENTS:
            _check(name, turn, before[name], stored[name], acknowledged)
        totals["updates"] += acknowledged.saved()
        totals["compactions"] += sum(
            stored[name][1].compacted_seq > before[name][1].compacted_seq for name in DOCUMENTS
        )
        totals["epochs"] += stored[REPLACED][1].epoch - before[REPLACED][1].epoch
        before = stored
    assert totals["updates"] >= rounds, totals
    at_least = rounds // 10  # of a few rounds none may have begun an epoch
    assert all(total >= at_least for total in totals.values()), totals
    for name, total in totals.items():
        record_property(name, total)
    print(f"killed -9: {totals}, lost or doubled: 0")


def _check(
    name: str,
    turn: int,
    before: tuple[list[bytes], Head],
    after: tuple[list[bytes], Head],
    acknowledged: Acknowledged,
) -> None:
    (known, _), (stored, head) = before, after
    new = stored[len(known) :]
    assert stored[: len(known)] == known
    assert new == [b"%d:%d" % (turn, position) for position in range(1, len(new) + 1)]
    assert len(new) >= acknowledged.numbers["saved"][name]
    assert head.compacted_seq >= acknowledged.numbers["compacted"][name]
    assert head.epoch >= max(1, acknowledged.numbers["replaced"][name])
    assert head.retired == {epoch: epoch + 1 for epoch in range(1, head.epoch)}
    assert head.damage == ()


def _edit_until_killed(
    url: str, generation: str, turn: int, moments: random.Random, kill: Callable[[], None] | None
) -> Acknowledged:
    receiver, sender = processes.Pipe(duplex=False)
    child = processes.Process(target=edit_for_ever, args=(url, generation, turn, sender))
    child.start()
    sender.close()
    acknowledged = Acknowledged()
    kill_after = moments.randrange(40)
    try:
        while True:
            if acknowledged.count == kill_after:
                time.sleep(moments.random() * 0.003)  # anywhere between two acknowledgements
                (kill or child.kill)()
            acknowledged.add(*receiver.recv())
    except EOFError:  # dead, and everything it had said is read
        pass
    finally:
        child.kill()
        child.join()
        child.close()
        receiver.close()
    assert acknowledged.count >= kill_after
    return acknowledged


async def _read(url: str, generation: str) -> Stored:
    log = SqlUpdateLog(create_engine(url))
    stored = {}
    for name in DOCUMENTS:
        data = await contents(log, generation + name)
        assert await opened(log, generation + name) == data
        stored[name] = data, await log.head(generation + name)
    await log.close()
    return stored


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll what another process does."""
    while not condition():
        time.sleep(0.005)


@pytest.mark.timeout(60 + 2 * ROUNDS)
def test_what_was_acknowledged_survives_kill_9(
    sqlite_url: str, record_property: Callable[[str, object], None]
) -> None:
    run_rounds(sqlite_url, ROUNDS, lambda: None, None, record_property)


@pytest.mark.timeout(60 + 2 * ROUNDS)
def test_what_postgres_acknowledged_survives_kill_9_of_its_client(
    postgres: PostgresServer, postgres_url: str, record_property: Callable[[str, object], None]
) -> None:
    run_rounds(postgres_url, ROUNDS, lambda: _wait_for_rest(postgres, postgres_url), None, record_property)


def _wait_for_rest(server: PostgresServer, url: str) -> None:
    """Until the server has noticed that the client is dead: what it has begun may still be committed."""
    others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    wait_until(lambda: not server.execute(others, url=url))


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    """One that nobody else needs."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with postgres_server() as server:
        yield server


@pytest.mark.timeout(120 + 10 * SERVER_ROUNDS)
def test_what_postgres_acknowledged_survives_kill_9_of_the_server(
    own_server: PostgresServer, record_property: Callable[[str, object], None]
) -> None:
    """All of its processes but the one that starts the others again: nothing in memory is left."""
    with own_server.database() as name:
        url = own_server.url(name)
        migrate(url)
        run_rounds(
            url,
            SERVER_ROUNDS,
            lambda: _wait_for_recovery(own_server),
            lambda: _kill_server(own_server),
            record_property,
        )


def _kill_server(server: PostgresServer) -> None:
    for (pid,) in server.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_for_recovery(server: PostgresServer) -> None:
    def accepts() -> bool:
        try:
            return server.execute("SELECT 1") == [(1,)]
        except (asyncpg.PostgresError, OSError):
            return False

    wait_until(accepts)
