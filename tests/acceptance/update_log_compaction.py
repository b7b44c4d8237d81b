"""What every UpdateLog must do when it is compacted."""

import asyncio
from dataclasses import replace

import pytest
from anyio.lowlevel import checkpoint

from crdt_store.update_log import Compaction, Snapshot, UpdateLog
from tests.acceptance.log_rows import (
    OpenLog,
    cancelled_after_each_step,
    compact,
    compaction_of,
    contents,
    opened,
    row,
    runs,
    stored_rows,
    stored_runs,
    with_rows,
)

WRITERS, APPENDS = 5, 20


class CompactionSuite:
    """Part of `UpdateLogSuite`."""

    async def test_the_snapshot_is_the_newest_and_stands_for_its_rows(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("a", b"2", b"3"), row("a", b"4")])
        first, second, third = (each.seq for each in await stored_rows(log, "a"))
        snapshot = Snapshot(second, (b"whole", b"", b"\x00"), b"summary")
        rows = (await stored_rows(log, "a"))[:2]
        assert await log.compact("a", Compaction(1, 0, rows, snapshot))
        head = await log.head("a")
        assert head.snapshot == snapshot
        assert (head.epoch, head.compacted_seq, head.last_seq, head.damage) == (1, second, third, ())
        assert await contents(log, "a", after=second) == [b"4"]
        assert first < second

    async def test_compacted_rows_are_read_as_they_were_written(self, log: UpdateLog, author_id: int) -> None:
        written = [
            row("a", b"1", author_id=author_id, client_ids=(7,), first_ms=5),
            row("a", b"2", b"3", author_id=author_id, client_ids=(8, 7, 2**53 - 1), first_ms=3),
            row("a", b"4", client_ids=(9,)),
            row("a", b"", b"\xff"),
            row("a", b"5", author_id=author_id, client_ids=(7,)),
        ]
        await log.append(written)
        await compact(log, "a", count=4)
        assert await stored_runs(log, "a") == runs(written)
        await compact(log, "a")
        assert await stored_runs(log, "a") == runs(written)
        assert all(each.positions is None for each in await stored_rows(log, "a"))

    async def test_every_update_keeps_the_seq_under_which_it_was_stored(self, log: UpdateLog) -> None:
        written = [row("a", b"1"), row("a", b"2", b"3"), row("a", b"4"), row("a", b"5"), row("a", b"6", b"7")]
        await log.append(written)
        seqs = [seq for each in await stored_rows(log, "a") for seq in each.seqs]
        assert len(set(seqs)) == len(written)
        await compact(log, "a", count=2)
        await compact(log, "a")
        assert [seq for each in await stored_rows(log, "a") for seq in each.seqs] == seqs

    async def test_reading_after_a_seq_within_what_is_compacted_misses_nothing(self, log: UpdateLog) -> None:
        data = [b"%d" % i for i in range(12)]
        await log.append([row("a", each) for each in data])
        seqs = [each.seq for each in await stored_rows(log, "a")]
        await compact(log, "a", count=5)
        await compact(log, "a", count=4)
        for index, seq in enumerate(seqs):
            rest = data[index + 1 :]
            found = await contents(log, "a", after=seq)
            assert found == data[len(data) - len(found) :]
            assert len(found) >= len(rest)

    async def test_a_long_document_is_compacted_again_and_again(self, log: UpdateLog, author_id: int) -> None:
        written = [row("a", b"%d" % i, author_id=author_id if i % 700 < 600 else None) for i in range(3500)]
        for start in range(0, 3500, 500):
            await log.append(written[start : start + 500])
            if start:
                await compact(log, "a", count=450)
        assert await stored_runs(log, "a") == runs(written)
        assert await opened(log, "a") == [each.updates[0].data for each in written]

    async def test_what_is_appended_meanwhile_stays(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("a", b"2")])
        compaction = await compaction_of(log, "a")
        await log.append([row("a", b"3")])
        assert await log.compact("a", compaction)
        assert await contents(log, "a", after=compaction.snapshot.seq) == [b"3"]
        assert await opened(log, "a") == await contents(log, "a") == [b"1", b"2", b"3"]

    async def test_head_knows_whose_the_compacted_client_ids_are(
        self, log: UpdateLog, author_id: int
    ) -> None:
        await log.append(
            [
                row("a", b"1", client_ids=(5,)),
                row("a", b"2", author_id=author_id, client_ids=(6, 2**53 - 1)),
                row("a", b"3", author_id=author_id, client_ids=(7,)),
            ]
        )
        assert (await log.head("a")).authors == {}
        await compact(log, "a", count=2)
        assert (await log.head("a")).authors == {6: author_id, 2**53 - 1: author_id}
        await compact(log, "a")
        head = await log.head("a")
        assert head.authors == {6: author_id, 7: author_id, 2**53 - 1: author_id}
        assert head.retired == {}

    async def test_of_two_compactors_at_once_one_wins(self, open_log: OpenLog) -> None:
        logs = [await open_log() for _ in range(2)]
        for turn in range(10):
            name = f"turn {turn}"
            await logs[0].append([row(name, b"%d" % i) for i in range(5)])
            compactions = [
                await compaction_of(logs[0], name, count=count, summary=b"%d" % count) for count in (3, 5)
            ]
            done = await asyncio.gather(
                *(log.compact(name, each) for log, each in zip(logs, compactions, strict=True))
            )
            assert sorted(done) == [False, True]
            assert (await logs[0].head(name)).snapshot == compactions[done.index(True)].snapshot
            assert await contents(logs[1], name) == [b"%d" % i for i in range(5)]
        for log in logs:
            await log.close()

    async def test_a_compaction_of_something_else_is_refused(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(6)])
        await compact(log, "a", count=2)
        await log.append([row("b", b"0")])
        good = await compaction_of(log, "a", count=3)
        all_rows = await stored_rows(log, "a", after=good.after)
        first, second, third = good.rows
        end = good.snapshot
        for refused in (
            replace(good, epoch=2),
            replace(good, epoch=0),
            replace(good, after=0),
            replace(good, after=first.seq),
            with_rows(good, []),
            with_rows(good, [second, third]),
            with_rows(good, [first, third]),
            with_rows(good, [first, second]),
            with_rows(good, [second, first, third]),
            with_rows(good, [first, first, second, third]),
            with_rows(good, all_rows),
            replace(good, snapshot=replace(end, seq=second.seq)),
            replace(good, snapshot=replace(end, seq=all_rows[-1].seq)),
            replace(good, rows=all_rows, snapshot=replace(end, seq=all_rows[-1].seq + 1)),
            replace(good, rows=[], snapshot=replace(end, seq=good.after)),
            replace(good, rows=[], snapshot=replace(end, seq=good.after - 1)),
        ):
            before = await log.head("a")
            assert not await log.compact("a", refused)
            assert await log.head("a") == before
        assert not await log.compact("never written", good)
        assert not await log.exists("never written")
        assert await contents(log, "a") == [b"%d" % i for i in range(6)]
        assert await log.compact("a", good)
        assert not await log.compact("a", good)
        assert await opened(log, "a") == await contents(log, "a") == [b"%d" % i for i in range(6)]

    async def test_a_deleted_document_is_not_compacted(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1")])
        compaction = await compaction_of(log, "a")
        await log.delete("a")
        assert not await log.compact("a", compaction)
        assert (await log.head("a")).snapshot is None
        await log.append([row("a", b"new", epoch=2)])
        assert not await log.compact("a", compaction)
        assert await contents(log, "a") == [b"new"]

    @pytest.mark.parametrize("compactors", [1, 3])
    async def test_compaction_loses_nothing_that_tasks_append_meanwhile(
        self, log: UpdateLog, compactors: int
    ) -> None:
        writing, compactions = WRITERS, 0

        async def write(writer: int) -> None:
            nonlocal writing
            for i in range(APPENDS):
                await log.append([row("a", b"%d-%d" % (writer, i))])
                while compactions < i // 3:  # so that there are many of them, however long one takes
                    await checkpoint()
            writing -= 1

        async def compact_all_the_time() -> None:
            nonlocal compactions
            while writing:
                compaction = await compaction_of(log, "a")
                if not compaction.rows:
                    await checkpoint()
                elif await log.compact("a", compaction):
                    compactions += 1

        await asyncio.gather(
            *(compact_all_the_time() for _ in range(compactors)), *(write(i) for i in range(WRITERS))
        )
        found = await contents(log, "a")
        assert sorted(found) == sorted(b"%d-%d" % (w, i) for w in range(WRITERS) for i in range(APPENDS))
        for writer in range(WRITERS):
            own = [data for data in found if data.startswith(b"%d-" % writer)]
            assert own == [b"%d-%d" % (writer, i) for i in range(APPENDS)]
        assert await opened(log, "a") == found

    async def test_a_read_misses_nothing_that_is_compacted_meanwhile(self, log: UpdateLog) -> None:
        data = [b"%d" % i for i in range(2500)]
        await log.append([row("a", each) for each in data])
        seen: list[bytes] = []
        async for stored in log.read("a"):
            if not seen:
                await compact(log, "a", count=1200)
            seen += (update.data for update in stored.row.updates)
        assert list(dict.fromkeys(seen)) == data

    async def test_a_snapshot_may_have_16_mib_and_many_parts(self, log: UpdateLog) -> None:
        large = bytes(range(256)) * 2**15
        await log.append([row("a", b"1")])
        compaction = await compaction_of(log, "a")
        snapshot = Snapshot(compaction.snapshot.seq, (large, b"", *(b"%d" % i for i in range(999)), large))
        assert await log.compact("a", replace(compaction, snapshot=snapshot))
        assert (await log.head("a")).snapshot == snapshot

    async def test_a_cancelled_compaction_is_done_whole_or_not_at_all(
        self, log: UpdateLog, open_log: OpenLog
    ) -> None:
        compactions: dict[str, Compaction] = {}

        async def prepare(log: UpdateLog, name: str) -> None:
            await log.append([row(name, b"1"), row(name, b"2")])
            compactions[name] = await compaction_of(log, name)

        async for name in cancelled_after_each_step(
            open_log, prepare, lambda log, name: log.compact(name, compactions[name])
        ):
            await log.append([row(name, b"3")])
            head = await log.head(name)
            assert head.snapshot in (None, compactions[name].snapshot)
            assert head.compacted_seq == (head.snapshot.seq if head.snapshot else 0)
            assert await opened(log, name) == await contents(log, name) == [b"1", b"2", b"3"]
            await compact(log, name)
            assert await opened(log, name) == await contents(log, name) == [b"1", b"2", b"3"]
