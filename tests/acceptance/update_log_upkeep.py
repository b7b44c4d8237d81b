"""What gathering and compaction must make of every UpdateLog, whatever happens to the document meanwhile."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from unittest.mock import patch

import pytest
from anyio import move_on_after
from anyio.lowlevel import checkpoint

from crdt_store import compaction as compaction_module
from crdt_store.compaction import CompactionPolicy, Compactor, Condense, CondenseFailed, compact, put_aside
from crdt_store.gathering import Limits, gather
from crdt_store.update_log import Head, LogUnavailable, Snapshot, UpdateLog
from tests.acceptance.log_rows import contents, opened, quarantine, row
from tests.acceptance.log_wrappers import LogWrapper

BAD = b"bad"
EAGER = CompactionPolicy(min_updates=1, quiet_seconds=0)


@dataclass(frozen=True)
class Condensed:
    """The data of all updates."""

    updates: tuple[bytes, ...]
    faults: Sequence["Fault"] = ()
    summary: bytes = b""


@dataclass(frozen=True)
class Fault:
    index: int
    error: str = "cannot be applied"


def faults_in(updates: Sequence[bytes]) -> list[Fault]:
    return [Fault(index) for index, data in enumerate(updates) if data.startswith(BAD)]


async def condense(snapshot: Snapshot | None, updates: Sequence[bytes]) -> Condensed:
    good = [data for data in updates if not data.startswith(BAD)]
    return Condensed((*(snapshot.updates if snapshot else ()), *good), faults_in(updates))


def at_first(meanwhile: Callable[[], Awaitable[object]]) -> Condense:
    """`condense`, during whose first call this happens."""
    calls = 0

    async def interrupted(snapshot: Snapshot | None, updates: Sequence[bytes]) -> Condensed:
        nonlocal calls
        calls += 1
        if calls == 1:
            await meanwhile()
        return await condense(snapshot, updates)

    return interrupted


class InterruptedLog(LogWrapper):
    """Does something after each of the first `times` answers of `head`."""

    def __init__(self, log: UpdateLog, meanwhile: Callable[[], Awaitable[object]], times: int = 1) -> None:
        super().__init__(log)
        self._meanwhile = meanwhile
        self._times = times

    async def head(self, document: str) -> Head:
        head = await super().head(document)
        if self._times:
            self._times -= 1
            await self._meanwhile()
        return head


class UpkeepSuite:
    """Part of `UpdateLogSuite`."""

    # What is put aside is what was found

    async def test_faults_found_before_a_compaction_do_not_hit_other_updates_after_it(
        self, log: UpdateLog
    ) -> None:
        await log.append([row("a", b"1"), row("a", b"2"), row("a", b"bad", b"3")])
        gathered = await gather(log, "a")
        await compact(log, condense, "a")
        assert not await put_aside(log, "a", gathered, faults_in(gathered.tail))
        assert await contents(log, "a") == await opened(log, "a") == [b"1", b"2", b"3"]
        assert [entry.data for entry in await log.quarantined("a")] == [b"bad"]

    async def test_faults_found_in_one_epoch_do_not_hit_the_next(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1", BAD)])
        before = await gather(log, "a")
        await compact(log, condense, "a")
        await log.replace(row("a", b"2", b"3"), {})
        assert not await put_aside(log, "a", before, faults_in(before.tail))
        await log.delete("a")
        assert not await put_aside(log, "a", before, faults_in(before.tail))
        await log.append([row("a", b"4", b"5", epoch=3)])
        assert not await put_aside(log, "a", before, faults_in(before.tail))
        assert await contents(log, "a") == [b"4", b"5"]

    # Gathering

    async def test_a_snapshot_and_rows_of_two_epochs_are_never_mixed(self, log: UpdateLog) -> None:
        await log.append([row("a", b"old")])
        await compact(log, condense, "a")
        interrupted = InterruptedLog(log, lambda: log.replace(row("a", b"new"), {}))
        gathered = await gather(interrupted, "a")
        assert (gathered.head.epoch, gathered.snapshot, gathered.tail) == (2, None, [b"new"])

    async def test_a_document_that_is_replaced_all_the_time_is_unavailable(self, log: UpdateLog) -> None:
        await log.append([row("a", b"0")])
        await compact(log, condense, "a")

        async def replace() -> None:
            await compact(log, condense, "a")
            await log.replace(row("a", b"new", epoch=(await log.head("a")).epoch), {})

        with pytest.raises(LogUnavailable):
            await gather(InterruptedLog(log, replace, times=100), "a")

    async def test_what_is_deleted_while_it_is_gathered_is_gathered_whole_or_not_at_all(
        self, log: UpdateLog
    ) -> None:
        await log.append([row("a", b"1")])
        await compact(log, condense, "a")
        await log.append([row("a", b"2")])
        gathered = await gather(InterruptedLog(log, lambda: log.delete("a")), "a")
        assert (gathered.head.epoch, gathered.snapshot, gathered.tail) == (2, None, [])

    # Compacting

    @pytest.mark.parametrize("good", [[], [b"1"], [b"1", b"2"]])
    @pytest.mark.parametrize("bad", [1, 3])
    async def test_bad_rows_at_the_end_are_compacted_too(
        self, log: UpdateLog, good: list[bytes], bad: int
    ) -> None:
        await log.append([row("a", data) for data in (*good, *[BAD] * bad)])
        while await compact(log, condense, "a") is not None:
            pass
        head = await log.head("a")
        assert head.compacted_seq == head.last_seq
        assert await contents(log, "a") == await opened(log, "a") == good
        assert len(await log.quarantined("a")) == bad
        await log.append([row("a", b"later")])
        assert await contents(log, "a") == await opened(log, "a") == [*good, b"later"]
        await compact(log, condense, "a")
        assert await contents(log, "a") == await opened(log, "a") == [*good, b"later"]
        assert await log.replace(row("a", b"new"), {}) == 2

    async def test_a_round_is_bounded_in_rows_and_in_bytes(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(10)])
        for limits in (Limits(new_bytes=1000, new_rows=4), Limits(new_bytes=4, new_rows=1000)):
            with patch.object(compaction_module, "_ROUND", limits):
                covered = await compact(log, condense, "a")
            assert covered is not None
            assert covered.updates == 4
        assert await opened(log, "a") == await contents(log, "a") == [b"%d" % i for i in range(10)]

    async def test_a_compactor_compacts_all_there_is_though_something_is_put_aside_meanwhile(
        self, log: UpdateLog
    ) -> None:
        await log.append([row("a", b"%d" % i) for i in range(10)])
        last = (await log.head("a")).last_seq
        interrupted = at_first(lambda: quarantine(log, "a", (last, 0, "found by another")))
        async with Compactor(log, interrupted, EAGER) as compactor:
            with patch.object(compaction_module, "_ROUND", Limits(new_bytes=1000, new_rows=4)):
                await compactor.compact("a")
        head = await log.head("a")
        assert head.compacted_seq == head.last_seq
        assert await opened(log, "a") == await contents(log, "a") == [b"%d" % i for i in range(9)]

    async def test_somebody_else_may_have_compacted_all_of_it(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1")])
        assert await compact(log, at_first(lambda: compact(log, condense, "a")), "a") is None
        assert await opened(log, "a") == [b"1"]

    async def test_a_document_that_never_stands_still_is_given_up(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(100)])

        async def one_fault_at_a_time(snapshot: Snapshot | None, updates: Sequence[bytes]) -> Condensed:
            return Condensed((), [Fault(0)])

        with pytest.raises(CondenseFailed):
            await compact(log, one_fault_at_a_time, "a")
        assert 1 < len(await log.quarantined("a")) < 100

    async def test_a_document_on_which_compaction_fails_leaves_the_others_theirs(
        self, log: UpdateLog, caplog: pytest.LogCaptureFixture
    ) -> None:
        await log.append([row("a", b"spoilt"), row("b", b"1"), row("b", b"2")])

        async def failing(snapshot: Snapshot | None, updates: Sequence[bytes]) -> Condensed:
            if b"spoilt" in updates:
                raise OverflowError("nobody has thought of this")
            return await condense(snapshot, updates)

        async with Compactor(log, failing, EAGER) as compactor:
            for name in "ab":
                compactor.opened(name, await gather(log, name))
            with move_on_after(20):
                while not (await log.head("b")).compacted_seq:
                    await checkpoint()
        assert [(await log.head(name)).compacted_seq > 0 for name in "ab"] == [False, True]
        assert "nobody has thought of this" in caplog.text
