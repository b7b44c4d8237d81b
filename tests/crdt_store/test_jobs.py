"""Jobs: written with their cause, had by one at a time, and done once."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio
import asyncpg
import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from crdt_store.engine import Database, create_engine, postgres_dsn
from crdt_store.jobs import MAX_ERROR_CHARACTERS, Job, Jobs, enqueue
from crdt_store.message_rows import StoredMessage
from crdt_store.posting import insert_messages
from tests.crdt_store.chatting import CHAT, NOW_MS, ada, databases, new, sql

__all__ = ["ada", "databases"]

LEASE_MS = 30_000
ATTEMPTS = 3


class Office:
    """Jobs as one worker sees them."""

    def __init__(self, database: Database, name: str = "w") -> None:
        self.database = database
        self.jobs = Jobs(database)
        self.name = name

    async def enqueue(self, *numbers: int, key: str | None = None, now_ms: int = NOW_MS) -> None:
        for number in numbers:
            await self.database.write(
                partial(enqueue, kind="k", payload={"n": number}, now_ms=now_ms, dedupe_key=key)
            )

    async def claim(self, now_ms: int = NOW_MS, *, limit: int = 10) -> list[Job]:
        return await self.jobs.claim(
            ["k"], by=self.name, now_ms=now_ms, lease_ms=LEASE_MS, limit=limit, max_attempts=ATTEMPTS
        )

    async def finish(self, claimed: Sequence[Job]) -> list[int]:
        """The numbers of those that were this worker's to do."""
        return await self.jobs.finish(claimed, by=self.name, effect=lambda _, mine: numbers_of(mine))

    async def fail(self, job: Job, due_at_ms: int | None = None, error: str = "broken") -> None:
        await self.jobs.fail(job, by=self.name, error=error, due_at_ms=due_at_ms)


def numbers_of(jobs: Sequence[Job]) -> list[int]:
    return [json.loads(job.payload)["n"] for job in jobs]


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


async def test_a_job_is_written_with_its_cause_or_not_at_all(office: Office, ada: int) -> None:
    def cause(connection: Connection, *, fails: bool) -> list[StoredMessage]:
        stored = insert_messages(connection, CHAT, [new(ada)], NOW_MS)
        enqueue(connection, "k", {"n": stored[0].seq}, NOW_MS)
        if fails:
            raise ZeroDivisionError
        return stored

    with pytest.raises(ZeroDivisionError):
        await office.database.write(partial(cause, fails=True))
    assert not await office.jobs.are_due(["k"], NOW_MS)
    await office.database.write(partial(cause, fails=False))
    assert numbers_of(await office.claim()) == [1]


async def test_jobs_come_in_order_as_many_as_are_asked_for(office: Office) -> None:
    await office.enqueue(1, 2, 3)
    assert numbers_of(await office.claim(limit=2)) == [1, 2]
    assert numbers_of(await office.claim()) == [3]
    assert await office.claim() == []


async def test_what_is_done_is_gone(office: Office) -> None:
    await office.enqueue(1, 2)
    assert await office.finish(await office.claim()) == [1, 2]
    assert await office.jobs.page(dead=False, limit=10) == []
    assert await office.claim(NOW_MS + 10 * LEASE_MS) == []


async def test_a_claimed_job_is_nobody_elses_until_its_lease_ends(office: Office) -> None:
    other = Office(office.database, "other")
    await office.enqueue(1)
    (mine,) = await office.claim()
    assert (mine.claimed_by, mine.attempts, mine.due_at_ms) == ("w", 1, NOW_MS + LEASE_MS)
    assert not await office.jobs.are_due(["k"], NOW_MS + LEASE_MS - 1)
    assert await other.claim(NOW_MS + LEASE_MS - 1) == []
    (theirs,) = await other.claim(NOW_MS + LEASE_MS)
    assert (theirs.id, theirs.claimed_by, theirs.attempts) == (mine.id, "other", 2)
    assert await office.finish([mine]) == []
    assert await other.finish([theirs]) == [1]


async def test_what_a_late_worker_says_of_a_job_that_is_anothers_counts_for_nothing(office: Office) -> None:
    other = Office(office.database, "other")
    await office.enqueue(1)
    (mine,) = await office.claim()
    (theirs,) = await other.claim(NOW_MS + LEASE_MS)
    await office.fail(mine)
    (job,) = await office.jobs.page(dead=False, limit=1)
    assert job == theirs


async def test_an_effect_that_fails_leaves_its_job(office: Office) -> None:
    def fails(connection: Connection, mine: Sequence[Job]) -> None:
        raise ZeroDivisionError

    await office.enqueue(1)
    claimed = await office.claim()
    with pytest.raises(ZeroDivisionError):
        await office.jobs.finish(claimed, by="w", effect=fails)
    assert await office.finish(claimed) == [1]


async def test_a_job_that_failed_comes_back_when_it_is_due(office: Office) -> None:
    await office.enqueue(1)
    (job,) = await office.claim()
    await office.fail(job, NOW_MS + 500)
    assert await office.claim(NOW_MS + 499) == []
    (again,) = await office.claim(NOW_MS + 500)
    assert (again.id, again.attempts, again.error) == (job.id, 2, "broken")


async def test_a_dead_job_is_not_tried_any_more_until_somebody_says_so(office: Office) -> None:
    await office.enqueue(1)
    (job,) = await office.claim()
    await office.fail(job, error="\0" + "x" * 10_000)
    assert await office.claim(NOW_MS + 10 * LEASE_MS) == []
    (dead,) = await office.jobs.page(dead=True, limit=10)
    assert (dead.id, dead.dead, dead.error) == (job.id, True, "\ufffd" + "x" * (MAX_ERROR_CHARACTERS - 1))
    assert await office.jobs.retry(job.id, NOW_MS)
    assert not await office.jobs.retry(job.id, NOW_MS)
    (again,) = await office.claim()
    assert (again.id, again.attempts) == (job.id, 1)


async def test_a_dead_job_can_be_forgotten_and_no_other(office: Office) -> None:
    await office.enqueue(1, 2)
    dead, alive = await office.claim()
    await office.fail(dead)
    for job_id in (alive.id, 10**6, 0, -1, 2**63, 10**30):
        assert not await office.jobs.discard(job_id)
        assert not await office.jobs.retry(job_id, NOW_MS)
    assert await office.jobs.discard(dead.id)
    assert await office.jobs.page(dead=True, limit=10) == []
    assert await office.finish([alive]) == [2]


async def test_a_job_that_takes_its_workers_with_it_is_dead_in_the_end(office: Office) -> None:
    await office.enqueue(1)
    for attempt in range(ATTEMPTS):
        assert numbers_of(await office.claim(NOW_MS + attempt * LEASE_MS)) == [1]
    assert await office.claim(NOW_MS + ATTEMPTS * LEASE_MS) == []
    (dead,) = await office.jobs.page(dead=True, limit=10)
    assert (dead.attempts, dead.error) == (ATTEMPTS, "whoever claimed it did not say what became of it")


async def test_pages_of_jobs_are_in_order(office: Office) -> None:
    await office.enqueue(*range(5))
    found: list[int] = []
    after = 0
    while page := await office.jobs.page(dead=False, limit=2, after=after):
        found += numbers_of(page)
        after = page[-1].id
    assert found == list(range(5))
    assert await office.jobs.page(dead=False, limit=2, after=10**30) == []


async def test_of_one_key_there_is_one_until_it_is_claimed(office: Office) -> None:
    await office.enqueue(1, 2, key="a")
    await office.enqueue(3, key="b")
    claimed = await office.claim()
    assert numbers_of(claimed) == [2, 3]
    await office.enqueue(4, key="a")
    assert numbers_of(await office.claim()) == [4]
    assert await office.finish(claimed) == [2, 3]


async def test_jobs_of_other_kinds_are_left_to_others(office: Office) -> None:
    await office.database.write(partial(enqueue, kind="other", payload={"n": 1}, now_ms=NOW_MS))
    assert await office.claim() == []
    assert not await office.jobs.are_due(["k"], NOW_MS)
    assert await office.jobs.are_due(["k", "other"], NOW_MS)
    assert not await office.jobs.are_due([], NOW_MS)


async def test_whatever_a_payload_says_comes_back(office: Office) -> None:
    payload: dict[str, Any] = {"n": "\0 \ud800 é 👍", "list": [1, None, {}]}
    await office.database.write(partial(enqueue, kind="k", payload=payload, now_ms=NOW_MS))
    (job,) = await office.claim()
    assert json.loads(job.payload) == payload


async def test_each_job_is_claimed_by_one_of_many_and_none_is_left_out(databases: list[Database]) -> None:
    offices = [Office(database, f"w{number}") for number, database in enumerate(databases)]
    await offices[0].enqueue(*range(40))
    done: list[int] = []

    async def work(office: Office) -> None:
        while await office.jobs.are_due(["k"], NOW_MS):
            done.extend(await office.finish(await office.claim(limit=3)))

    async with anyio.create_task_group() as tasks:
        for office in offices:
            tasks.start_soon(work, office)
    assert sorted(done) == list(range(40))
    assert await sql(databases[0], "SELECT count(*) FROM jobs") == [(0,)]


async def test_a_job_is_not_claimed_while_somebody_else_comes_to_want_it(postgres_url: str) -> None:
    """Who does it would not see what the other one has written: on SQLite there is one writer anyway."""
    database = create_engine(postgres_url)
    office = Office(database)
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(postgres_dsn(postgres_url))
    )
    await office.enqueue(1, key="a")
    async with engine.connect() as connection, connection.begin():
        await connection.run_sync(partial(enqueue, kind="k", payload={"n": 2}, now_ms=NOW_MS, dedupe_key="a"))
        assert await office.claim() == []
    assert numbers_of(await office.claim()) == [2]
    await engine.dispose()
    await database.close()
