"""What every UpdateLog must do with updates that are put aside."""

from crdt_store.update_log import WHOLE_ROW, Quarantined, StoredRow, UpdateLog
from tests.acceptance.log_rows import (
    compact,
    compaction_of,
    contents,
    opened,
    quarantine,
    row,
    stored_rows,
    with_rows,
)


async def find(log: UpdateLog, document: str, data: bytes) -> tuple[int, int]:
    """The seq and the position by which quarantine knows the update with this data."""
    (found,) = [
        (stored.seq, stored.position(index))
        for stored in await stored_rows(log, document)
        for index, update in enumerate(stored.row.updates)
        if update.data == data
    ]
    return found


async def put_aside(log: UpdateLog, document: str, *data: bytes) -> None:
    """Quarantine each of these updates by itself."""
    for each in data:
        await quarantine(log, document, (*await find(log, document, each), f"{each!r} is poison"))


def summary(entries: list[Quarantined]) -> list[tuple[bytes, str]]:
    """What was put aside, and why."""
    return [(entry.data, entry.error) for entry in entries]


class QuarantineSuite:
    """Part of `UpdateLogSuite`."""

    async def test_an_update_in_quarantine_is_kept_but_not_read(self, log: UpdateLog, author_id: int) -> None:
        written = row("a", b"1", b"2", b"3", author_id=author_id, client_ids=(7,), first_ms=1)
        await log.append([row("a", b"0"), written, row("a", b"4")])
        before = await stored_rows(log, "a")
        await put_aside(log, "a", b"2")
        seq = before[1].seq
        kept = row("a", b"1", b"2", b"3", author_id=author_id, client_ids=(7,), first_ms=1).updates
        (_, found, _) = after = await stored_rows(log, "a")
        assert [after[0], after[2]] == [before[0], before[2]]
        assert (found.seq, found.positions) == (seq, (0, 2))
        assert found.row.updates == (kept[0], kept[2])
        assert (found.row.author_id, found.row.client_ids) == (author_id, (7,))
        (entry,) = await log.quarantined("a")
        assert (entry.seq, entry.position, entry.data) == (seq, 1, b"2")
        assert entry.error == "b'2' is poison"
        assert await log.quarantined("b") == []

    async def test_a_whole_row_can_be_put_aside(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("a", b"two", b"three"), row("a", b"4")])
        seq, _ = await find(log, "a", b"two")
        await quarantine(log, "a", (seq, WHOLE_ROW, "damaged"))
        assert await contents(log, "a") == [b"1", b"4"]
        (entry,) = await log.quarantined("a")
        assert (entry.seq, entry.position, entry.error) == (seq, WHOLE_ROW, "damaged")
        assert 0 <= entry.data.find(b"two") < entry.data.find(b"three")

    async def test_a_row_of_which_nothing_is_left_is_not_read(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1", b"2")])
        await put_aside(log, "a", b"2", b"1")
        assert await contents(log, "a") == []
        assert await log.exists("a")
        assert summary(await log.quarantined("a")) == [(b"1", "b'1' is poison"), (b"2", "b'2' is poison")]

    async def test_putting_aside_twice_is_putting_aside_once(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1", b"2"), row("a", b"3")])
        seq, position = await find(log, "a", b"2")
        whole, _ = await find(log, "a", b"3")
        for error in ("first", "second"):
            await quarantine(log, "a", (seq, position, error))
            await quarantine(log, "a", (whole, WHOLE_ROW, error))
        assert await contents(log, "a") == [b"1"]
        assert [entry.error for entry in await log.quarantined("a")] == ["first", "first"]
        assert not await log.quarantine("never written", [(1, 0, "nothing")], epoch=1, compacted_seq=0)
        assert await log.quarantined("never written") == []
        assert not await log.exists("never written")

    async def test_what_there_is_not_is_not_put_aside(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1", b"2")])
        last = (await log.head("a")).last_seq
        await quarantine(
            log,
            "a",
            *((seq, WHOLE_ROW, "not there") for seq in (-1, 0, last + 1, last + 2, 2**40)),
            *((last, position, "not there") for position in (-2, 2, 2**31 - 1)),
        )
        assert await log.quarantined("a") == []
        await log.append([row("a", b"3"), row("a", b"4")])
        assert await contents(log, "a") == [b"1", b"2", b"3", b"4"]
        await compact(log, "a")
        await log.replace(row("a", b"5"), {})
        await quarantine(log, "a", (last, WHOLE_ROW, "of another epoch"), (last, 0, "of another epoch"))
        assert await log.quarantined("a") == []

    async def test_an_error_may_be_any_text(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1", b"2")])
        seq = (await log.head("a")).last_seq
        await quarantine(log, "a", (seq, 0, "a\0b\ud800c\udfff 😀"), (seq, 1, "x" * 10_000))
        errors = [entry.error for entry in await log.quarantined("a")]
        assert errors == ["a\ufffdb\ufffdc\ufffd 😀", "x" * 500]

    async def test_many_can_be_put_aside_at_once(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1", b"2", b"3"), row("a", b"4"), row("a", b"5", b"6")])
        places = {each: await find(log, "a", each) for each in (b"1", b"3", b"6")}
        whole, _ = await find(log, "a", b"4")
        await quarantine(log, "a", (*places[b"3"], "three"))
        entries = [*((*place, each.decode()) for each, place in places.items()), (whole, WHOLE_ROW, "four")]
        await quarantine(log, "a", *entries)
        await quarantine(log, "a")
        assert await contents(log, "a") == [b"2", b"5"]
        errors = [entry.error for entry in await log.quarantined("a")]
        assert errors == ["1", "three", "four", "6"]

    async def test_entries_are_listed_in_the_order_of_the_document(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1", b"2"), row("a", b"3"), row("a", b"4")])
        await put_aside(log, "a", b"4", b"2", b"3")
        assert [entry.data for entry in await log.quarantined("a")] == [b"2", b"3", b"4"]

    async def test_what_is_in_quarantine_stays_out_of_the_history(self, log: UpdateLog) -> None:
        await log.append([row("a", b"%d" % i, b"%d'" % i) for i in range(5)])
        await put_aside(log, "a", b"0", b"0'", b"2", b"4", b"4'")
        left = [b"1", b"1'", b"2'", b"3", b"3'"]
        assert await contents(log, "a") == left
        await compact(log, "a")
        assert await contents(log, "a") == await opened(log, "a") == left
        await log.append([row("a", b"5")])
        await compact(log, "a")
        assert await contents(log, "a") == await opened(log, "a") == [*left, b"5"]
        entries = await log.quarantined("a")
        assert [entry.data for entry in entries] == [b"0", b"0'", b"2", b"4", b"4'"]

    async def test_a_document_of_which_nothing_is_left_can_be_compacted(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("a", b"2", b"3")])
        await put_aside(log, "a", b"2", b"1")
        await quarantine(log, "a", ((await log.head("a")).last_seq, WHOLE_ROW, "damaged"))
        await compact(log, "a")
        assert await contents(log, "a") == await opened(log, "a") == []
        await log.append([row("a", b"4")])
        assert await contents(log, "a") == await opened(log, "a") == [b"4"]
        await compact(log, "a")
        assert await contents(log, "a") == await opened(log, "a") == [b"4"]
        assert len(await log.quarantined("a")) == 3

    async def test_compacted_updates_can_be_put_aside_too(self, log: UpdateLog, author_id: int) -> None:
        await log.append([row("a", b"1", b"2"), row("a", b"3"), row("a", b"x", b"y", author_id=author_id)])
        await compact(log, "a")
        await log.append([row("a", b"5", b"6")])
        await put_aside(log, "a", b"2")
        await put_aside(log, "a", b"3")
        assert await contents(log, "a") == [b"1", b"x", b"y", b"5", b"6"]
        await quarantine(log, "a", ((await find(log, "a", b"x"))[0], WHOLE_ROW, "damaged"))
        assert await contents(log, "a") == [b"1", b"5", b"6"]
        await put_aside(log, "a", b"5")
        await compact(log, "a")
        assert await contents(log, "a") == [b"1", b"6"]
        await put_aside(log, "a", b"6")
        await log.append([row("a", b"7")])
        await compact(log, "a")
        assert await contents(log, "a") == [b"1", b"7"]
        found = [entry.data for entry in await log.quarantined("a") if entry.position != WHOLE_ROW]
        assert sorted(found) == [b"2", b"3", b"5", b"6"]
        (whole,) = [entry.data for entry in await log.quarantined("a") if entry.position == WHOLE_ROW]
        assert 0 <= whole.find(b"x") < whole.find(b"y")

    async def test_a_row_is_found_anew_after_a_part_of_it_was_put_aside_and_it_was_compacted(
        self, log: UpdateLog
    ) -> None:
        await log.append([row("a", b"1", b"2", b"3", b"4")])
        await put_aside(log, "a", b"1")
        await compact(log, "a")
        await put_aside(log, "a", b"3")
        assert await contents(log, "a") == [b"2", b"4"]
        await put_aside(log, "a", b"2")
        assert await contents(log, "a") == [b"4"]
        assert sorted(entry.data for entry in await log.quarantined("a")) == [b"1", b"2", b"3"]

    async def test_what_was_put_aside_meanwhile_stops_a_compaction(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("a", b"2", b"3"), row("a", b"4")])
        stale = await compaction_of(log, "a")
        await put_aside(log, "a", b"3")
        assert not await log.compact("a", stale)
        partly = await compaction_of(log, "a")
        first, second, third = partly.rows
        for altered in (
            with_rows(partly, [first, third]),
            with_rows(partly, [first, StoredRow(second.seq, second.row), third]),
            with_rows(partly, [first, StoredRow(second.seq, stale.rows[1].row, (0, 1)), third]),
            with_rows(partly, [StoredRow(first.seq, first.row, (0,)), second, third]),
        ):
            assert not await log.compact("a", altered)
        await quarantine(log, "a", (first.seq, WHOLE_ROW, "damaged"))
        assert not await log.compact("a", partly)
        assert (await log.head("a")).compacted_seq == 0
        await compact(log, "a")
        assert await contents(log, "a") == await opened(log, "a") == [b"2", b"4"]

    async def test_a_row_in_quarantine_at_the_end_may_stay_behind(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("a", b"2"), row("a", b"3")])
        await put_aside(log, "a", b"3")
        await compact(log, "a", count=2)
        assert await contents(log, "a") == await opened(log, "a") == [b"1", b"2"]
        await log.append([row("a", b"4")])
        await compact(log, "a")
        assert await contents(log, "a") == await opened(log, "a") == [b"1", b"2", b"4"]
