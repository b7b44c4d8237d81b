"""What every UpdateLog must do. Subclass `UpdateLogSuite`, and give it the fixture `open_log` (and `author_id`)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
from anyio.lowlevel import checkpoint

from crdt_store.update_log import LogUnavailable, Row, Snapshot, StoredRow, Update, UpdateLog

OpenLog = Callable[[], Awaitable[UpdateLog]]

MAX_CLIENT_ID = 2**53 - 1
CANCEL_STEPS = 12  # turns of the event loop before an operation is cancelled


def row(document: str, *data: bytes, author_id: int | None = None, client_ids: tuple[int, ...] = ()) -> Row:
    """A row with these updates, one millisecond apart."""
    return Row(
        document,
        author_id,
        client_ids,
        tuple(Update(each, 1_800_000_000_000 + i) for i, each in enumerate(data)),
    )


async def contents(log: UpdateLog, document: str, *, after: int = 0) -> list[bytes]:
    """The data of all updates of the document, in order; checks that the seqs have no hole."""
    stored = [each async for each in log.read(document, after=after)]
    assert [each.seq for each in stored] == list(range(after + 1, after + 1 + len(stored)))
    assert all(each.row.document == document for each in stored)
    return [update.data for each in stored for update in each.row.updates]


class UpdateLogSuite:
    """Each test gets empty storage. `open_log` opens it anew each time it is called."""

    @pytest.fixture
    def open_log(self) -> OpenLog:
        raise NotImplementedError

    @pytest.fixture
    def author_id(self) -> int:
        """An id that rows may name as their author."""
        return 1

    @pytest.fixture
    async def log(self, open_log: OpenLog) -> AsyncIterator[UpdateLog]:
        log = await open_log()
        yield log
        await log.close()

    # Reading back

    async def test_at_first_there_is_nothing(self, log: UpdateLog) -> None:
        assert not await log.exists("a")
        assert await log.snapshot("a") is None
        assert await contents(log, "a") == []
        assert await log.documents() == []

    async def test_every_field_of_a_row_comes_back(self, log: UpdateLog, author_id: int) -> None:
        updates = (Update(b"\x00\xff", 1_800_000_000_000), Update(b"", 1_799_999_999_000), Update(b"x", 0))
        written = [
            Row("a", author_id, (0, 1, 2**32 + 5, MAX_CLIENT_ID), updates),
            Row("a", None, (), (Update(b"y", 1),)),
        ]
        await log.append(written)
        assert [each async for each in log.read("a")] == [StoredRow(1, written[0]), StoredRow(2, written[1])]

    async def test_rows_are_still_there_after_reopening(self, open_log: OpenLog, author_id: int) -> None:
        first = await open_log()
        await first.append([row("a", b"1", b"2", author_id=author_id, client_ids=(7,)), row("b", b"3")])
        await first.write_snapshot("a", Snapshot(1, b"whole"))
        await first.close()
        second = await open_log()
        await second.append([row("a", b"4")])
        assert await contents(second, "a") == [b"1", b"2", b"4"]
        assert await contents(second, "b") == [b"3"]
        assert await second.snapshot("a") == Snapshot(1, b"whole")
        assert await second.documents() == ["a", "b"]
        await second.close()

    async def test_each_document_has_its_own_order(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("b", b"2"), row("a", b"3")])
        await log.append([row("b", b"4"), row("c", b"5"), row("a", b"6")])
        assert await contents(log, "a") == [b"1", b"3", b"6"]
        assert await contents(log, "b") == [b"2", b"4"]
        assert await contents(log, "c") == [b"5"]

    async def test_reading_starts_after_a_seq(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(5)])
        assert await contents(log, "a", after=3) == [b"3", b"4"]
        assert await contents(log, "a", after=5) == []
        assert await contents(log, "a", after=9) == []

    async def test_a_long_document_is_read_in_order(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(2500)])
        assert await contents(log, "a") == [b"%d" % i for i in range(2500)]

    async def test_what_is_committed_during_a_read_is_read(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(1001)])
        seen = []
        async for stored in log.read("a"):
            if stored.seq == 1:
                await log.append([row("a", b"late")])
            seen.append(stored.row.updates[0].data)
        assert seen[-1] == b"late"
        assert len(seen) == 1002

    async def test_appending_nothing_changes_nothing(self, log: UpdateLog) -> None:
        await log.append([])
        assert await log.documents() == []

    async def test_a_row_has_an_update(self) -> None:
        with pytest.raises(ValueError, match="without an update"):
            row("a")

    async def test_repeating_an_append_whose_answer_was_lost_is_harmless(self, log: UpdateLog) -> None:
        again = [row("a", b"1"), row("b", b"2")]
        await log.append(again)
        await log.append(again)
        assert await contents(log, "a") == [b"1", b"1"]
        assert await contents(log, "b") == [b"2", b"2"]

    # Sizes

    async def test_an_update_may_have_16_mib(self, log: UpdateLog) -> None:
        large = bytes(range(256)) * 2**16
        await log.append([row("a", b"before"), row("a", large), row("a", large, b"after")])
        assert await contents(log, "a") == [b"before", large, large, b"after"]

    async def test_a_snapshot_may_have_16_mib(self, log: UpdateLog) -> None:
        large = bytes(range(256)) * 2**16
        await log.append([row("a", b"1")])
        assert await log.write_snapshot("a", Snapshot(1, large))
        assert await log.snapshot("a") == Snapshot(1, large)

    async def test_a_row_may_have_thousands_of_updates(self, log: UpdateLog) -> None:
        data = [b"%d" % i for i in range(5000)]
        await log.append([row("a", *data)])
        assert await contents(log, "a") == data

    async def test_an_append_may_name_thousands_of_documents(self, log: UpdateLog) -> None:
        names = [f"d{i:04}" for i in range(2000)]
        await log.append([row(name, name.encode()) for name in names])
        await log.append([row(name, b"again") for name in reversed(names)])
        assert await log.documents(limit=3000) == names
        assert await contents(log, "d1999") == [b"d1999", b"again"]

    # Names

    @pytest.mark.parametrize(
        "names",
        [
            ("a", "ab", "aa", "a/b", "a/"),
            ("a%", "ab", "a_", "a%b", "a\\"),
            ("A", "a", "á", "a\u0301", "Á"),
            ("chat:1", "chat:12", "chat:1@2", "chat:"),
            ("文", "文書", "\ud7ff", "\ue000", "😀", "😀😀", "\U0010ffff", "\U0010ffff\U0010ffff"),
            ("'; DROP TABLE updates; --", '"', "a b", " ", "\t", "x" * 1000),
        ],
    )
    async def test_a_document_has_nothing_of_one_whose_name_is_like_its_own(
        self, log: UpdateLog, names: Sequence[str]
    ) -> None:
        await log.append([row(name, name.encode()) for name in names])
        for name in names:
            assert await contents(log, name) == [name.encode()]
            assert await log.documents(prefix=name) == sorted(n for n in names if n.startswith(name))
        assert await log.documents() == sorted(names)
        await log.delete(names[0])
        assert not await log.exists(names[0])
        assert await log.documents() == sorted(names[1:])

    async def test_names_are_listed_page_by_page(self, log: UpdateLog) -> None:
        names = [f"w:{i:03}" for i in range(10)]
        await log.append([row(name, b"1") for name in ["v", *names, "w;"]])
        page = await log.documents(prefix="w:", limit=4)
        assert page == names[:4]
        assert await log.documents(prefix="w:", limit=4, after=page[-1]) == names[4:8]
        assert await log.documents(prefix="w:", limit=4, after=names[7]) == names[8:]
        assert await log.documents(prefix="w:", after=names[-1]) == []
        assert await log.documents(prefix="w:", limit=0) == []

    # Snapshots

    async def test_only_a_newer_snapshot_replaces_one(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(5)])
        assert await log.write_snapshot("a", Snapshot(3, b"three"))
        assert not await log.write_snapshot("a", Snapshot(3, b"again"))
        assert not await log.write_snapshot("a", Snapshot(2, b"two"))
        assert await log.snapshot("a") == Snapshot(3, b"three")
        assert await log.write_snapshot("a", Snapshot(4, b""))
        assert await log.write_snapshot("a", Snapshot(5, b"five"))
        assert await log.snapshot("a") == Snapshot(5, b"five")

    async def test_a_snapshot_stands_for_rows_that_exist(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1")])
        assert not await log.write_snapshot("a", Snapshot(2, b"ahead"))
        assert not await log.write_snapshot("b", Snapshot(1, b"of nothing"))
        assert await log.snapshot("a") is None
        assert not await log.exists("b")

    async def test_a_snapshot_loses_nothing_that_is_appended_while_it_is_written(
        self, log: UpdateLog
    ) -> None:
        async def write(writer: int) -> None:
            for i in range(20):
                await log.append([row("a", b"%d-%d" % (writer, i))])

        async def compact() -> None:
            for _ in range(10):
                stored = [each async for each in log.read("a")]
                if stored:
                    data = b" ".join(each.row.updates[0].data for each in stored)
                    await log.write_snapshot("a", Snapshot(stored[-1].seq, data))

        await asyncio.gather(*(write(i) for i in range(5)), compact())
        await compact()
        snapshot = await log.snapshot("a")
        assert snapshot is not None
        found = snapshot.data.split() + await contents(log, "a", after=snapshot.seq)
        assert sorted(found) == sorted(b"%d-%d" % (writer, i) for writer in range(5) for i in range(20))

    # Deletion

    async def test_a_deleted_document_is_gone_and_starts_anew(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("a", b"2"), row("ab", b"3")])
        await log.write_snapshot("a", Snapshot(2, b"whole"))
        await log.delete("a")
        assert not await log.exists("a")
        assert await log.snapshot("a") is None
        assert await contents(log, "a") == []
        assert await contents(log, "ab") == [b"3"]
        await log.append([row("a", b"new")])
        assert await contents(log, "a") == [b"new"]
        assert await log.snapshot("a") is None

    async def test_deleting_what_does_not_exist_is_no_error(self, log: UpdateLog) -> None:
        await log.delete("a")

    async def test_a_read_never_ends_early_because_the_document_is_deleted(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(1500)])
        seen = 0
        with suppress(LogUnavailable):
            async for stored in log.read("a"):
                if stored.seq == 1:
                    await log.delete("a")
                    await log.append([row("a", b"other") for _ in range(1600)])
                assert stored.row.updates[0].data == b"%d" % (stored.seq - 1)
                seen += 1
            assert seen == 1500

    # Several tasks

    async def test_tasks_that_append_at_once_share_no_seq(self, log: UpdateLog) -> None:
        async def write(writer: int) -> None:
            for i in range(10):
                await log.append([row("a", b"%d-%d" % (writer, i)), row(f"own:{writer}", b"%d" % i)])

        await asyncio.gather(*(write(i) for i in range(10)))
        found = await contents(log, "a")
        assert sorted(found) == sorted(b"%d-%d" % (writer, i) for writer in range(10) for i in range(10))
        for writer in range(10):
            own = [data for data in found if data.startswith(b"%d-" % writer)]
            assert own == [b"%d-%d" % (writer, i) for i in range(10)]
            assert await contents(log, f"own:{writer}") == [b"%d" % i for i in range(10)]

    @pytest.mark.parametrize("steps", range(CANCEL_STEPS))
    async def test_a_cancelled_append_is_stored_whole_or_not_at_all(self, log: UpdateLog, steps: int) -> None:
        await log.append([row("a", b"before")])
        task = asyncio.ensure_future(log.append([row("a", b"1"), row("b", b"1"), row("a", b"2")]))
        for _ in range(steps):
            await checkpoint()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await log.append([row("a", b"after"), row("b", b"after")])
        stored = await contents(log, "a"), await contents(log, "b")
        assert stored in (
            ([b"before", b"after"], [b"after"]),
            ([b"before", b"1", b"2", b"after"], [b"1", b"after"]),
        )

    @pytest.mark.parametrize("steps", range(CANCEL_STEPS))
    async def test_a_cancelled_read_leaves_nothing_behind(self, log: UpdateLog, steps: int) -> None:
        await log.append([row("a", b"%d" % i) for i in range(1100)])
        task = asyncio.ensure_future(contents(log, "a"))
        for _ in range(steps):
            await checkpoint()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert len(await contents(log, "a")) == 1100

    # The end

    async def test_after_closing_everything_is_refused(self, open_log: OpenLog) -> None:
        log = await open_log()
        await log.append([row("a", b"1")])
        await log.close()
        await log.close()
        operations: list[Callable[[], Awaitable[object]]] = [
            lambda: log.append([row("a", b"2")]),
            lambda: log.exists("a"),
            lambda: log.snapshot("a"),
            lambda: contents(log, "a"),
            lambda: log.write_snapshot("a", Snapshot(1, b"")),
            log.documents,
            lambda: log.delete("a"),
        ]
        for operation in operations:
            with pytest.raises(LogUnavailable):
                await operation()

    async def test_a_log_that_was_never_used_closes(self, open_log: OpenLog) -> None:
        await (await open_log()).close()

    @pytest.mark.parametrize("steps", range(CANCEL_STEPS))
    async def test_closing_lets_what_has_begun_end(self, open_log: OpenLog, steps: int) -> None:
        log = await open_log()
        outcomes: dict[int, bool] = {}

        async def write(writer: int) -> None:
            try:
                await log.append([row("a", b"%d" % writer)])
            except LogUnavailable:
                outcomes[writer] = False
            else:
                outcomes[writer] = True

        tasks = [asyncio.ensure_future(write(i)) for i in range(5)]
        for _ in range(steps):
            await checkpoint()
        await log.close()
        await asyncio.gather(*tasks)
        again = await open_log()
        found = await contents(again, "a")
        assert set(found) >= {b"%d" % writer for writer, stored in outcomes.items() if stored}
        assert len(found) == len(set(found))
        await again.close()
