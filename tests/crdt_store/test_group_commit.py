"""The group commit: one transaction per flush, an answer for everyone, and nobody harmed by another's fault."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.lowlevel import checkpoint

from crdt_store.effects import Effect
from crdt_store.group_commit import GroupCommit
from crdt_store.journal import MAX_ROW_BYTES, MAX_ROW_UPDATES, Journal
from crdt_store.memory import MemoryUpdateLog
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import LogUnavailable, Row, Unconfirmed, WrongEpoch
from tests.acceptance.log_wrappers import FailingLog, LogWrapper, SlowLog
from tests.acceptance.update_log_suite import contents

MAX_PENDING_BYTES = 1000


@dataclass
class Doc:
    """An open document: its journal and what it was told."""

    journal: Journal
    committed: list[int] = field(default_factory=list)
    failures: list[LogUnavailable] = field(default_factory=list)

    def edit(self, data: bytes, *, author_id: int | None = None, client_id: int = 1) -> int:
        return self.journal.append(data, author_id=author_id, client_ids=(client_id,), received_at_ms=5)


def open_doc(commits: GroupCommit, name: str) -> Doc:
    committed: list[int] = []
    failures: list[LogUnavailable] = []
    return Doc(commits.journal(name, committed.append, failures.append), committed, failures)


@pytest.fixture
def memory() -> MemoryUpdateLog:
    return MemoryUpdateLog()


@pytest.fixture
def slow(memory: MemoryUpdateLog) -> SlowLog:
    return SlowLog(memory)


@pytest.fixture
async def commits(slow: SlowLog) -> AsyncIterator[GroupCommit]:
    async with GroupCommit(slow, max_pending_bytes=MAX_PENDING_BYTES) as commits:
        yield commits
        slow.release()


def shape(rows: list[Row]) -> list[tuple[str, int | None, int]]:
    return [(row.document, row.author_id, len(row.updates)) for row in rows]


async def test_a_single_edit_is_stored_at_once(
    commits: GroupCommit, slow: SlowLog, memory: MemoryUpdateLog
) -> None:
    doc = open_doc(commits, "a")
    assert doc.edit(b"1") == 1
    assert (doc.journal.submitted, doc.journal.committed) == (1, 0)
    await slow.wait_appending()
    assert doc.committed == []
    slow.release()
    await commits.drain()
    assert (doc.journal.submitted, doc.journal.committed) == (1, 1)
    assert doc.committed == [1]
    assert await contents(memory, "a") == [b"1"]


async def test_while_a_flush_runs_the_next_batch_gathers(commits: GroupCommit, slow: SlowLog) -> None:
    docs = [open_doc(commits, name) for name in "abc"]
    docs[0].edit(b"first")
    await slow.wait_appending()
    for doc in docs:
        doc.edit(b"1")
        doc.edit(b"2")
    slow.release_waiting()
    await slow.wait_appending(2)
    slow.release()
    await commits.drain()
    assert [shape(rows) for rows in slow.appends] == [
        [("a", None, 1)],
        [("a", None, 2), ("b", None, 2), ("c", None, 2)],
    ]
    assert [doc.committed for doc in docs] == [[1, 3], [2], [2]]


async def test_consecutive_updates_of_one_author_become_one_row(
    commits: GroupCommit, slow: SlowLog, memory: MemoryUpdateLog
) -> None:
    doc = open_doc(commits, "a")
    doc.edit(b"1", author_id=1, client_id=10)
    doc.edit(b"2", author_id=1, client_id=11)
    doc.edit(b"3", author_id=1, client_id=10)
    doc.edit(b"4", author_id=2, client_id=20)
    doc.edit(b"5", author_id=1, client_id=10)
    slow.release()
    await commits.drain()
    rows = [stored.row async for stored in memory.read("a")]
    assert [row.author_id for row in rows] == [1, 2, 1]
    assert [row.client_ids for row in rows] == [(10, 11), (20,), (10,)]
    assert await contents(memory, "a") == [b"1", b"2", b"3", b"4", b"5"]
    assert doc.committed == [5]


async def test_rows_and_flushes_are_bounded(commits: GroupCommit, slow: SlowLog) -> None:
    many, large, small = (open_doc(commits, name) for name in ("many", "large", "small"))
    for _ in range(MAX_ROW_UPDATES + 1):
        many.edit(b"x")
    for _ in range(40):
        large.edit(bytes(MAX_ROW_BYTES // 2))
    large.edit(bytes(3 * MAX_ROW_BYTES))
    small.edit(b"x")
    slow.release()
    await commits.drain()
    rows = [row for rows in slow.appends for row in rows]
    assert [len(row.updates) for row in rows if row.document == "many"] == [MAX_ROW_UPDATES, 1]
    assert [len(row.updates) for row in rows if row.document == "large"] == [2] * 20 + [1]
    flushed = [sum(len(update.data) for row in rows for update in row.updates) for rows in slow.appends]
    assert len(flushed) > 2
    assert max(flushed) < 9 * MAX_ROW_BYTES
    assert "small" in [
        row.document for row in slow.appends[0]
    ]  # whoever has much does not hold up the others
    assert large.committed == sorted(large.committed)
    assert large.committed[-1] == 41


async def test_drain_waits_for_what_was_submitted_before_it(commits: GroupCommit, slow: SlowLog) -> None:
    doc = open_doc(commits, "a")
    await commits.drain()
    doc.edit(b"1")
    drained = asyncio.ensure_future(commits.drain())
    await slow.wait_appending()
    doc.edit(b"2")
    assert not drained.done()
    slow.release_waiting()
    await drained
    assert doc.journal.committed == 1


async def test_members_pause_until_half_is_stored(commits: GroupCommit, slow: SlowLog) -> None:
    told: list[str] = []
    commits.on_relief(lambda: told.append("not saturated"))
    assert told == ["not saturated"]
    a, b = open_doc(commits, "a"), open_doc(commits, "b")
    a.edit(bytes(600))
    await slow.wait_appending()
    b.edit(bytes(400))
    assert (commits.pending_bytes, commits.saturated) == (1000, False)
    b.edit(bytes(200))
    assert (commits.pending_bytes, commits.saturated) == (1200, True)
    commits.on_relief(lambda: told.append("relief"))
    slow.release_waiting()
    await slow.wait_appending(2)
    assert (commits.pending_bytes, commits.saturated) == (600, False)
    assert told == ["not saturated"]
    slow.release()
    await commits.drain()
    assert commits.pending_bytes == 0
    assert told == ["not saturated", "relief"]


async def test_a_callback_that_raises_harms_nobody(
    commits: GroupCommit, slow: SlowLog, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    bad = commits.journal("bad", broken, broken)
    good = open_doc(commits, "good")
    for _ in range(2):
        bad.append(b"1", author_id=None, client_ids=(), received_at_ms=1)
        good.edit(b"1")
        slow.release()
        await commits.drain()
    assert good.committed == [1, 2]
    assert bad.committed == 2
    assert "ZeroDivisionError" in caplog.text


class TestFailure:
    async def test_everyone_in_the_batch_is_told_once_and_refused(self, memory: MemoryUpdateLog) -> None:
        log = FailingLog(memory, lambda row: True)
        async with GroupCommit(log, max_pending_bytes=MAX_PENDING_BYTES) as commits:
            docs = [open_doc(commits, name) for name in "ab"]
            for doc in docs:
                doc.edit(b"1")
            await commits.drain()
            for doc in docs:
                assert len(doc.failures) == 1
                assert doc.committed == []
                with pytest.raises(LogUnavailable):
                    doc.edit(b"2")
            assert commits.pending_bytes == 0
            log.fails = lambda row: False
            again = open_doc(commits, "a")
            assert again.edit(b"3") == 1
            await commits.drain()
            assert again.committed == [1]
            assert [len(doc.failures) for doc in docs] == [1, 1]
        assert await contents(memory, "a") == [b"3"]

    async def test_what_waits_behind_a_failed_flush_is_dropped_too(self, memory: MemoryUpdateLog) -> None:
        slow = SlowLog(FailingLog(memory, lambda row: row.updates[0].data == b"poison"))
        async with GroupCommit(slow, max_pending_bytes=MAX_PENDING_BYTES) as commits:
            doc, other = open_doc(commits, "a"), open_doc(commits, "b")
            doc.edit(b"poison")
            await slow.wait_appending()
            doc.edit(b"after")
            other.edit(b"1")
            slow.release()
            await commits.drain()
            assert len(doc.failures) == 1
            assert other.committed == [1]
            assert commits.pending_bytes == 0
        assert not await memory.exists("a")

    async def test_only_the_documents_that_fail_fail(self, memory: MemoryUpdateLog) -> None:
        log = FailingLog(memory, lambda row: row.document in ("d1", "d4"))
        async with GroupCommit(log, max_pending_bytes=MAX_PENDING_BYTES) as commits:
            docs = [open_doc(commits, f"d{i}") for i in range(6)]
            for doc in docs:
                doc.edit(b"1")
            await commits.drain()
        assert [len(doc.failures) for doc in docs] == [0, 1, 0, 0, 1, 0]
        assert [doc.committed for doc in docs] == [[1], [], [1], [1], [], [1]]
        assert await memory.documents() == ["d0", "d2", "d3", "d5"]

    async def test_a_fault_of_another_kind_counts_as_one_of_the_log(
        self, memory: MemoryUpdateLog, caplog: pytest.LogCaptureFixture
    ) -> None:
        def explode(row: Row) -> bool:
            raise KeyError(row.document)

        log = FailingLog(memory, explode)
        async with GroupCommit(log, max_pending_bytes=MAX_PENDING_BYTES) as commits:
            doc = open_doc(commits, "a")
            doc.edit(b"1")
            await commits.drain()
            assert isinstance(doc.failures[0].__cause__, KeyError)
            log.fails = lambda row: False
            other = open_doc(commits, "b")
            other.edit(b"1")
            await commits.drain()
            assert other.committed == [1]
        assert "KeyError" in caplog.text

    async def test_a_store_that_is_down_is_not_asked_for_every_document(
        self, memory: MemoryUpdateLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crdt_store.group_commit._HANGING_SECONDS", 0.0)
        log = FailingLog(memory, lambda row: True)
        async with GroupCommit(log, max_pending_bytes=MAX_PENDING_BYTES) as commits:
            docs = [open_doc(commits, f"d{i}") for i in range(100)]
            for doc in docs:
                doc.edit(b"1")
            await commits.drain()
        assert all(len(doc.failures) == 1 for doc in docs)
        assert len(log.appends) == 2

    @pytest.mark.parametrize(
        ("seconds_to_refuse", "failed"), [(4.0, ["d3"]), (6.0, ["d3", "d4", "d5"])], ids=["refuses", "hangs"]
    )
    async def test_only_a_store_that_takes_long_to_fail_is_given_up(
        self,
        memory: MemoryUpdateLog,
        monkeypatch: pytest.MonkeyPatch,
        seconds_to_refuse: float,
        failed: list[str],
    ) -> None:
        """However long the others took to be stored; and what is wrong with one row is wrong with that one alone."""
        now = 0.0

        class Timed(LogWrapper):
            async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
                nonlocal now
                if any(row.document == "d3" for row in rows):
                    now += seconds_to_refuse
                    raise WrongEpoch("d3")
                now += 10.0
                await super().append(rows, effects)

        monkeypatch.setattr("crdt_store.group_commit.anyio.current_time", lambda: now)
        async with GroupCommit(Timed(memory), max_pending_bytes=MAX_PENDING_BYTES) as commits:
            docs = {f"d{i}": open_doc(commits, f"d{i}") for i in range(6)}
            for doc in docs.values():
                doc.edit(b"1")
            await commits.drain()
        assert [name for name, doc in docs.items() if doc.failures] == failed
        assert [name for name, doc in docs.items() if doc.committed] == [n for n in docs if n not in failed]
        wrong_epoch = [name for name in failed if isinstance(docs[name].failures[0], WrongEpoch)]
        assert wrong_epoch == ["d3"]

    async def test_a_flush_that_may_be_stored_is_not_stored_again(self, memory: MemoryUpdateLog) -> None:
        class LosesItsAnswer(LogWrapper):
            async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
                await super().append(rows, effects)
                raise Unconfirmed("the answer was lost")

        async with GroupCommit(LosesItsAnswer(memory), max_pending_bytes=MAX_PENDING_BYTES) as commits:
            docs = [open_doc(commits, name) for name in "ab"]
            for doc in docs:
                doc.edit(b"1")
            await commits.drain()
        for doc in docs:
            assert [type(failure) for failure in doc.failures] == [Unconfirmed]
            assert doc.committed == []
            assert await contents(memory, doc.journal.document) == [b"1"]

    async def test_relief_comes_after_a_failure_too(self, memory: MemoryUpdateLog) -> None:
        slow = SlowLog(FailingLog(memory, lambda row: True))
        async with GroupCommit(slow, max_pending_bytes=MAX_PENDING_BYTES) as commits:
            doc = open_doc(commits, "a")
            doc.edit(bytes(2000))
            relieved = anyio.Event()
            commits.on_relief(relieved.set)
            slow.release()
            await relieved.wait()
            assert not commits.saturated


class TestEnd:
    async def test_closing_stores_what_is_pending_and_then_refuses(self, memory: MemoryUpdateLog) -> None:
        async with GroupCommit(memory, max_pending_bytes=MAX_PENDING_BYTES) as commits:
            doc = open_doc(commits, "a")
            doc.edit(b"1")
        assert doc.committed == [1]
        with pytest.raises(LogUnavailable):
            doc.edit(b"2")
        with pytest.raises(LogUnavailable):
            open_doc(commits, "b").edit(b"1")

    async def test_it_never_waits_for_ever(self, slow: SlowLog) -> None:
        async with GroupCommit(slow, max_pending_bytes=MAX_PENDING_BYTES, close_seconds=0.0) as commits:
            flushing, waiting = open_doc(commits, "a"), open_doc(commits, "b")
            flushing.edit(b"1")
            await slow.wait_appending()
            waiting.edit(b"1")
        assert len(flushing.failures) == len(waiting.failures) == 1
        assert commits.pending_bytes == 0

    async def test_whoever_drains_does_not_outwait_the_end(self, slow: SlowLog) -> None:
        async with GroupCommit(slow, max_pending_bytes=MAX_PENDING_BYTES, close_seconds=0.0) as commits:
            doc = open_doc(commits, "a")
            doc.edit(b"1")
            drained = asyncio.ensure_future(commits.drain())
            await slow.wait_appending()
        async with asyncio.timeout(5):
            await drained
        assert len(doc.failures) == 1

    async def test_what_was_given_up_is_not_acknowledged_later(self, memory: MemoryUpdateLog) -> None:
        class AnswersWhenCancelled(LogWrapper):
            async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
                self.appends.append(list(rows))
                with suppress(asyncio.CancelledError):
                    await anyio.sleep_forever()

        log = AnswersWhenCancelled(memory)
        async with GroupCommit(log, max_pending_bytes=MAX_PENDING_BYTES, close_seconds=0.0) as commits:
            doc = open_doc(commits, "a")
            doc.edit(b"1")
            while not log.appends:
                await checkpoint()
        assert len(doc.failures) == 1
        assert doc.committed == []
        assert commits.pending_bytes == 0

    async def test_an_error_of_the_body_comes_out_as_it_is(self, memory: MemoryUpdateLog) -> None:
        docs: list[Doc] = []

        async def serve() -> None:
            async with GroupCommit(memory, max_pending_bytes=MAX_PENDING_BYTES) as commits:
                docs.append(open_doc(commits, "a"))
                docs[0].edit(b"1")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await serve()
        assert docs[0].committed == [1]

    @pytest.mark.parametrize("steps", range(6))
    async def test_a_cancelled_server_still_stores(self, log: SqlUpdateLog, steps: int) -> None:
        docs: list[Doc] = []

        async def serve() -> None:
            async with GroupCommit(log, max_pending_bytes=MAX_PENDING_BYTES) as commits:
                docs.append(open_doc(commits, "a"))
                docs[0].edit(b"1")
                await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            for _ in range(steps + 1):
                await checkpoint()
            tasks.cancel_scope.cancel()
        if docs:
            assert docs[0].committed == [1]
            assert await contents(log, "a") == [b"1"]

    @pytest.mark.parametrize("steps", range(6))
    async def test_a_cancelled_task_still_stores(self, log: SqlUpdateLog, steps: int) -> None:
        docs: list[Doc] = []

        async def serve() -> None:
            async with GroupCommit(log, max_pending_bytes=MAX_PENDING_BYTES) as commits:
                docs.append(open_doc(commits, "a"))
                docs[0].edit(b"1")
                await anyio.sleep_forever()

        task = asyncio.ensure_future(serve())
        for _ in range(steps + 1):
            await checkpoint()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert docs[0].committed == [1]
        assert await contents(log, "a") == [b"1"]

    async def test_cancelling_it_twice_leaves_no_task(self, slow: SlowLog) -> None:
        docs: list[Doc] = []

        async def serve() -> None:
            async with GroupCommit(slow, max_pending_bytes=MAX_PENDING_BYTES) as commits:
                docs.append(open_doc(commits, "a"))
                docs[0].edit(b"1")
                await anyio.sleep_forever()

        task = asyncio.ensure_future(serve())
        await slow.wait_appending()
        for _ in range(2):
            task.cancel()
            await checkpoint()
            await checkpoint()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(docs[0].failures) == 1
        assert len(asyncio.all_tasks()) == 1 or "serve" not in repr(asyncio.all_tasks())


async def test_many_documents_and_edits_end_up_in_order(log: SqlUpdateLog) -> None:
    wrapper = LogWrapper(log)
    async with GroupCommit(wrapper, max_pending_bytes=2**20) as commits:
        docs = [open_doc(commits, f"d{i}") for i in range(20)]
        for i in range(2000):
            docs[i * 7 % 20].edit(b"%d" % i)
            if i % 10 == 0:
                await checkpoint()
    for number, doc in enumerate(docs):
        assert await contents(log, f"d{number}") == [b"%d" % i for i in range(2000) if i * 7 % 20 == number]
        assert doc.committed[-1] == doc.journal.submitted == 100
    assert len(wrapper.appends) < 2000
