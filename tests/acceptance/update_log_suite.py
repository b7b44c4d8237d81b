"""What every UpdateLog must do. Subclass `UpdateLogSuite`, and give it the fixture `open_log` (and `author_id`).

It takes no seq for granted but that they grow, and leaves it to the log what compaction packs together.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
from anyio.lowlevel import checkpoint

from crdt_store.update_log import (
    WHOLE_ROW,
    BadDocumentName,
    Head,
    LogUnavailable,
    Row,
    Update,
    UpdateLog,
)
from tests.acceptance.log_rows import (
    OpenLog,
    cancelled_after_each_step,
    compact,
    compaction_of,
    contents,
    growing,
    opened,
    quarantine,
    row,
    stored_rows,
)
from tests.acceptance.update_log_compaction import CompactionSuite
from tests.acceptance.update_log_epochs import EpochSuite
from tests.acceptance.update_log_quarantine import QuarantineSuite
from tests.acceptance.update_log_upkeep import UpkeepSuite

__all__ = ["OpenLog", "UpdateLogSuite", "contents", "row"]

MAX_CLIENT_ID = 2**53 - 1


class UpdateLogSuite(CompactionSuite, QuarantineSuite, EpochSuite, UpkeepSuite):
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
        assert await log.head("a") == Head()
        assert await contents(log, "a") == []
        assert await log.quarantined("a") == []
        assert await log.documents() == []

    async def test_every_field_of_a_row_comes_back(self, log: UpdateLog, author_id: int) -> None:
        updates = (Update(b"\x00\xff", 1_800_000_000_000), Update(b"", 1_799_999_999_000), Update(b"x", 0))
        written = [
            Row("a", author_id, (0, 1, 2**32 + 5, MAX_CLIENT_ID), updates),
            Row("a", None, (), (Update(b"y", 1),)),
        ]
        await log.append(written)
        found = await stored_rows(log, "a")
        assert [each.row for each in found] == written
        assert [each.positions for each in found] == [None, None]
        assert [found[0].position(index) for index in range(3)] == [0, 1, 2]

    async def test_all_is_still_there_after_reopening(self, open_log: OpenLog, author_id: int) -> None:
        first = await open_log()
        await first.append([row("a", b"1", b"2", author_id=author_id, client_ids=(7,)), row("b", b"3")])
        await compact(first, "a")
        await first.append([row("a", b"4"), row("b", b"5", b"6")])
        await quarantine(first, "b", ((await stored_rows(first, "b"))[-1].seq, 0, "poison"))
        heads = [await first.head(name) for name in "ab"]
        aside = await first.quarantined("b")
        await first.close()
        second = await open_log()
        assert [await second.head(name) for name in "ab"] == heads
        assert await second.quarantined("b") == aside
        await second.append([row("a", b"7")])
        assert await contents(second, "a") == await opened(second, "a") == [b"1", b"2", b"4", b"7"]
        assert await contents(second, "b") == [b"3", b"6"]
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
        seqs = [each.seq for each in await stored_rows(log, "a")]
        for index, seq in enumerate(seqs):
            assert await contents(log, "a", after=seq) == [b"%d" % i for i in range(index + 1, 5)]
        assert await contents(log, "a", after=seqs[-1] + 4) == []
        assert (await log.head("a")).last_seq == seqs[-1]

    async def test_a_long_document_is_read_in_order(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(2500)])
        assert await contents(log, "a") == [b"%d" % i for i in range(2500)]

    async def test_what_is_committed_during_a_read_is_read(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(1001)])
        seen: list[bytes] = []
        async for stored in log.read("a"):
            if not seen:
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

    @pytest.mark.parametrize(
        ("client_id", "time_ms"), [(-1, 0), (2**53, 0), (2**63, 0), (1, 2**63), (1, -(2**63) - 1)]
    )
    async def test_a_row_has_what_can_be_stored(self, client_id: int, time_ms: int) -> None:
        with pytest.raises(ValueError, match="not of"):
            Row("a", None, (1, client_id), (Update(b"1", 0), Update(b"2", time_ms)))

    async def test_the_largest_numbers_come_back(self, log: UpdateLog) -> None:
        written = Row(
            "a", None, (MAX_CLIENT_ID, 0), (Update(b"1", 2**63 - 1), Update(b"2", -(2**63)), Update(b"3", 0))
        )
        await log.append([written])
        assert [each.row for each in await stored_rows(log, "a")] == [written]

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
        await compact(log, "a")
        assert await contents(log, "a") == await opened(log, "a") == [b"before", large, large, b"after"]

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
        await log.append([row(name, name.encode(), b"poison") for name in names])
        for name in names:
            assert await contents(log, name) == [name.encode(), b"poison"]
            assert await log.documents(prefix=name) == sorted(n for n in names if n.startswith(name))
        assert await log.documents() == sorted(names)
        gone, *others = names
        await quarantine(log, gone, ((await log.head(gone)).last_seq, 1, "poison"))
        await compact(log, gone)
        await log.delete(gone, client_ids=(7,))
        assert not await log.exists(gone)
        assert await log.documents() == sorted(others)
        for name in others:
            head = await log.head(name)
            assert head == Head(last_seq=head.last_seq)
            assert await contents(log, name) == [name.encode(), b"poison"]
            assert await log.quarantined(name) == []

    @pytest.mark.parametrize("name", ["a\0", "a\ud800", "\udc00", "x" * 2501, "é" * 1251])
    async def test_a_name_that_cannot_be_stored_is_refused_by_everything(
        self, log: UpdateLog, name: str
    ) -> None:
        await log.append([row("a", b"1")])
        compaction = await compaction_of(log, "a")
        operations: list[Callable[[], Awaitable[object]]] = [
            lambda: log.append([row("b", b"1"), row(name, b"1")]),
            lambda: log.exists(name),
            lambda: log.head(name),
            lambda: contents(log, name),
            lambda: log.compact(name, compaction),
            lambda: log.quarantine(name, [(1, 0, "poison")], epoch=1, compacted_seq=0),
            lambda: log.quarantined(name),
            lambda: log.replace(row(name, b"new"), {}),
            lambda: log.documents(prefix=name),
            lambda: log.documents(after=name),
            lambda: log.delete(name),
        ]
        for operation in operations:
            with pytest.raises(BadDocumentName):
                await operation()
        assert await log.documents() == ["a"]

    async def test_a_name_may_have_2500_bytes(self, log: UpdateLog) -> None:
        names = ["".join(chr(0x1F000 + (7919 * i) % 2000) for i in range(625)), "é" * 1250]
        await log.append([row(name, b"1") for name in names])
        assert await log.documents() == sorted(names)
        assert await contents(log, names[0]) == [b"1"]

    async def test_a_negative_limit_is_refused(self, log: UpdateLog) -> None:
        with pytest.raises(ValueError, match="limit"):
            await log.documents(limit=-1)

    async def test_names_are_listed_page_by_page(self, log: UpdateLog) -> None:
        names = [f"w:{i:03}" for i in range(10)]
        await log.append([row(name, b"1") for name in ["v", *names, "w;"]])
        page = await log.documents(prefix="w:", limit=4)
        assert page == names[:4]
        assert await log.documents(prefix="w:", limit=4, after=page[-1]) == names[4:8]
        assert await log.documents(prefix="w:", limit=4, after=names[7]) == names[8:]
        assert await log.documents(prefix="w:", after=names[-1]) == []
        assert await log.documents(prefix="w:", limit=0) == []

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

    async def test_a_cancelled_append_is_stored_whole_or_not_at_all(
        self, log: UpdateLog, open_log: OpenLog
    ) -> None:
        async for name in cancelled_after_each_step(
            open_log,
            lambda log, name: log.append([row(name, b"before")]),
            lambda log, name: log.append([row(name, b"1"), row(f"{name}'", b"1"), row(name, b"2")]),
        ):
            await log.append([row(name, b"after"), row(f"{name}'", b"after")])
            assert (await contents(log, name), await contents(log, f"{name}'")) in (
                ([b"before", b"after"], [b"after"]),
                ([b"before", b"1", b"2", b"after"], [b"1", b"after"]),
            )

    async def test_a_cancelled_read_leaves_nothing_behind(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i) for i in range(1100)])
        for steps in growing():
            task = asyncio.ensure_future(contents(log, "a"))
            for _ in range(steps):
                await checkpoint()
            came_too_late = task.done()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert len(await contents(log, "a")) == 1100
            if came_too_late:
                return

    # The end

    async def test_after_closing_everything_is_refused(self, open_log: OpenLog) -> None:
        log = await open_log()
        await log.append([row("a", b"1")])
        compaction = await compaction_of(log, "a")
        await log.close()
        await log.close()
        operations: list[Callable[[], Awaitable[object]]] = [
            lambda: log.append([row("a", b"2")]),
            lambda: log.exists("a"),
            lambda: log.head("a"),
            lambda: contents(log, "a"),
            lambda: log.compact("a", compaction),
            lambda: log.quarantine("a", [(1, WHOLE_ROW, "poison")], epoch=1, compacted_seq=0),
            lambda: log.quarantined("a"),
            lambda: log.replace(row("a", b"new"), {}),
            log.documents,
            lambda: log.delete("a"),
        ]
        for operation in operations:
            with pytest.raises(LogUnavailable):
                await operation()

    async def test_a_log_that_was_never_used_closes(self, open_log: OpenLog) -> None:
        await (await open_log()).close()

    async def test_closing_lets_what_has_begun_end(self, open_log: OpenLog) -> None:
        for steps in growing():
            log = await open_log()
            name = f"closed:{steps}"
            outcomes: dict[bytes, bool] = {}
            tasks = [
                asyncio.ensure_future(_append_and_note(log, name, b"%d" % writer, outcomes))
                for writer in range(5)
            ]
            for _ in range(steps):
                await checkpoint()
            came_too_late = all(task.done() for task in tasks)
            await log.close()
            await asyncio.gather(*tasks)
            again = await open_log()
            found = await contents(again, name)
            assert set(found) >= {data for data, stored in outcomes.items() if stored}
            assert len(found) == len(set(found))
            await again.close()
            if came_too_late:
                return


async def _append_and_note(log: UpdateLog, name: str, data: bytes, outcomes: dict[bytes, bool]) -> None:
    outcomes[data] = False
    with suppress(LogUnavailable):
        await log.append([row(name, data)])
        outcomes[data] = True
