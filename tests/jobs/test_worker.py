"""The worker, by a clock that only tests move."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from functools import partial

import anyio
import pytest
from sqlalchemy import Connection, text

from crdt_store.engine import Database
from crdt_store.jobs import Job, Jobs, enqueue
from crdt_store.update_log import LogUnavailable, Unconfirmed
from server.jobs.worker import JobPolicy, Worker
from tests.crdt_store.chatting import NOW_MS

_ADD_USER = text(
    "INSERT INTO users (issuer, subject, name, created_at) VALUES ('i', :name, '', CURRENT_TIMESTAMP)"
)
POLICY = JobPolicy(attempts=3, lease_seconds=30, poll_seconds=1000, retry_seconds=1)


class Effects:
    """A handler whose effects are rows in the table of users; what it is told to fail at, it fails at."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.told: list[str] = []
        self.fails_at: dict[str, int] = {}
        self.done = asyncio.Event()

    def __call__(self, jobs: Sequence[Job]) -> "Effect":
        names = [json.loads(job.payload)["name"] for job in jobs]
        self.batches.append(names)
        return Effect(self, names)


class Effect:
    def __init__(self, effects: Effects, names: list[str]) -> None:
        self.effects, self.names = effects, names

    def store(self, connection: Connection) -> None:
        for name in self.names:
            connection.execute(_ADD_USER, {"name": name})
            if self.effects.fails_at.get(name, 0):
                self.effects.fails_at[name] -= 1
                raise ZeroDivisionError(name)

    def committed(self) -> None:
        self.effects.told += self.names
        self.effects.done.set()


class Factory:
    """Workers on one database, at one time."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.jobs = Jobs(database)
        self.now_ms = NOW_MS
        self.effects = Effects()

    def worker(self, name: str = "w", *, jobs: Jobs | None = None, policy: JobPolicy = POLICY) -> Worker:
        return Worker(
            jobs or self.jobs,
            {"k": self.effects},
            policy,
            name=name,
            now_ms=lambda: self.now_ms,
            random=lambda: 0.0,
        )

    async def enqueue(self, *names: str) -> None:
        def write(connection: Connection) -> None:
            for name in names:
                enqueue(connection, "k", {"name": name}, self.now_ms)

        await self.database.write(write)

    async def stored(self) -> list[str]:
        def read(connection: Connection) -> list[str]:
            return list(connection.scalars(text("SELECT subject FROM users ORDER BY id")))

        return await self.database.read(read)

    async def errors(self) -> list[str | None]:
        return [job.error for job in await self.jobs.page(dead=True, limit=10)]


@pytest.fixture
def factory(database: Database) -> Factory:
    return Factory(database)


async def test_what_is_due_is_done_together_and_told_once_it_is_stored(factory: Factory) -> None:
    await factory.enqueue("a", "b")
    await factory.worker().work_off()
    assert await factory.stored() == factory.effects.told == ["a", "b"]
    assert factory.effects.batches == [["a", "b"]]
    await factory.worker().work_off()
    assert len(factory.effects.batches) == 1


async def test_however_many_there_are_all_are_done(factory: Factory) -> None:
    names = [str(number) for number in range(120)]
    await factory.enqueue(*names)
    await factory.worker().work_off()
    assert factory.effects.told == names
    assert max(map(len, factory.effects.batches)) < len(names)


async def test_one_that_fails_keeps_no_other_from_being_done(factory: Factory) -> None:
    factory.effects.fails_at = {"b": 2}
    await factory.enqueue("a", "b", "c")
    await factory.worker().work_off()
    assert await factory.stored() == factory.effects.told == ["a", "c"]
    assert factory.effects.batches == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_one_that_failed_is_tried_again_later_each_time(factory: Factory) -> None:
    factory.effects.fails_at = {"a": 2}
    await factory.enqueue("a")
    worker = factory.worker()
    for wait_ms, attempts in ((0, 1), (999, 1), (1, 2), (1999, 2), (1, 3)):
        factory.now_ms += wait_ms
        await worker.work_off()
        assert len(factory.effects.batches) == attempts
    assert factory.effects.told == ["a"]


async def test_one_that_fails_too_often_is_dead_and_is_done_when_somebody_says_so(
    factory: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    factory.effects.fails_at = {"a": 3}
    await factory.enqueue("a")
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            await factory.worker().work_off()
            factory.now_ms += 60_000
    assert len(factory.effects.batches) == 3
    assert await factory.errors() == ["ZeroDivisionError: a"]
    assert [("dead" in record.message) for record in caplog.records if "failed" in record.message] == [
        False,
        False,
        True,
    ]
    (dead,) = await factory.jobs.page(dead=True, limit=1)
    assert await factory.jobs.retry(dead.id, factory.now_ms)
    await factory.worker().work_off()
    assert factory.effects.told == await factory.stored() == ["a"]


async def test_what_the_database_refuses_fails_the_job(factory: Factory) -> None:
    await factory.enqueue("a", "a")
    worker = factory.worker()
    for _ in range(5):
        await worker.work_off()
        factory.now_ms += 60_000
    assert factory.effects.told == ["a"]
    (error,) = await factory.errors()
    assert error is not None
    assert error.startswith("Conflict: ")


class Stalling(Jobs):
    """Something happens between claiming and doing."""

    meanwhile: Callable[[], object]

    async def claim(self, *args: object, **options: object) -> list[Job]:
        claimed = await super().claim(*args, **options)  # type: ignore[arg-type]
        if claimed:
            await self.meanwhile()  # type: ignore[misc]
        return claimed


async def test_a_worker_that_stood_still_does_nothing_that_another_has_done_meanwhile(
    factory: Factory,
) -> None:
    slow = Stalling(factory.database)

    async def meanwhile() -> None:
        factory.now_ms += 30_000
        await factory.worker("other").work_off()

    slow.meanwhile = meanwhile
    await factory.enqueue("a")
    await factory.worker("slow", jobs=slow).work_off()
    assert factory.effects.told == await factory.stored() == ["a"]


async def test_a_job_whose_worker_died_is_done_by_another_when_the_lease_has_ended(factory: Factory) -> None:
    await factory.enqueue("a")
    await factory.jobs.claim(["k"], by="dead", now_ms=NOW_MS, lease_ms=30_000, limit=9, max_attempts=3)
    factory.now_ms += 29_999
    await factory.worker().work_off()
    assert factory.effects.told == []
    factory.now_ms += 1
    await factory.worker().work_off()
    assert factory.effects.told == ["a"]


class Breaking(Jobs):
    """The commit of what is done gets no answer; it was stored, or it was not."""

    def __init__(self, database: Database, *, is_stored: bool) -> None:
        super().__init__(database)
        self.is_stored, self.breaks = is_stored, 1

    async def finish(self, *args: object, **options: object) -> object:  # type: ignore[override]
        if self.breaks:
            self.breaks -= 1
            if self.is_stored:
                await super().finish(*args, **options)  # type: ignore[arg-type]
            raise Unconfirmed("no answer")
        return await super().finish(*args, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_stored", [True, False])
async def test_where_nobody_knows_whether_it_was_stored_it_is_stored_once(
    factory: Factory, is_stored: bool
) -> None:
    await factory.enqueue("a")
    worker = factory.worker(jobs=Breaking(factory.database, is_stored=is_stored))
    for _ in range(2):
        await worker.work_off()
        assert await factory.stored() == (["a"] if is_stored or factory.now_ms > NOW_MS else [])
        factory.now_ms += 30_000


# Waking


async def test_a_worker_that_is_woken_works_at_once(factory: Factory) -> None:
    worker = factory.worker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        for name in "ab":
            await factory.enqueue(name)
            worker.wake()
            with anyio.fail_after(10):
                await factory.effects.done.wait()
            factory.effects.done.clear()
        tasks.cancel_scope.cancel()
    assert factory.effects.told == ["a", "b"]


async def test_what_others_write_is_found_without_being_woken(factory: Factory) -> None:
    worker = factory.worker(policy=POLICY._replace(poll_seconds=0.01))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        await factory.enqueue("a")
        with anyio.fail_after(10):
            await factory.effects.done.wait()
        tasks.cancel_scope.cancel()


class Away(Jobs):
    """A database that is not there for a while."""

    failures = 2

    async def are_due(self, *args: object, **options: object) -> bool:
        if self.failures:
            self.failures -= 1
            raise LogUnavailable("away") if self.failures else ZeroDivisionError
        return await super().are_due(*args, **options)  # type: ignore[arg-type]


async def test_a_worker_outlives_whatever_fails(factory: Factory) -> None:
    worker = factory.worker(jobs=Away(factory.database), policy=POLICY._replace(poll_seconds=0.01))
    await factory.enqueue("a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        with anyio.fail_after(10):
            await factory.effects.done.wait()
        tasks.cancel_scope.cancel()
    assert factory.effects.told == ["a"]


async def test_two_workers_do_each_job_once(factory: Factory) -> None:
    await factory.enqueue(*map(str, range(30)))
    async with anyio.create_task_group() as tasks:
        for name in "ab":
            tasks.start_soon(partial(factory.worker(name).work_off))
    assert sorted(await factory.stored()) == sorted(map(str, range(30)))


async def test_what_takes_long_is_prepared_before_its_transaction_and_one_at_a_time(factory: Factory) -> None:
    """A handler that fails is tried again, as an effect that cannot be stored is."""
    prepared: list[str] = []
    fails_at = {"b"}

    async def prepare(job: Job) -> Effect:
        name: str = json.loads(job.payload)["name"]
        assert await factory.stored() == [each for each in prepared if each not in fails_at]
        prepared.append(name)
        if name in fails_at:
            raise ZeroDivisionError(name)
        return Effect(factory.effects, [name])

    worker = Worker(
        factory.jobs,
        {},
        POLICY,
        name="long",
        now_ms=lambda: factory.now_ms,
        random=lambda: 0.0,
        long_handlers={"k": prepare},
    )
    await factory.enqueue("a", "b", "c")
    await worker.work_off()
    assert await factory.stored() == factory.effects.told == ["a", "c"]
    fails_at.clear()
    prepared.remove("b")
    factory.now_ms += 1000
    await worker.work_off()
    assert factory.effects.told == ["a", "c", "b"]
