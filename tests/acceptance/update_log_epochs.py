"""What every UpdateLog must do when a document is replaced or deleted."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import pytest

from crdt_store.update_log import Head, LogUnavailable, Update, UpdateLog, WrongEpoch
from tests.acceptance.log_rows import (
    OpenLog,
    cancelled_after_each_step,
    compact,
    compaction_of,
    contents,
    opened,
    quarantine,
    row,
    stored_rows,
)


def successor(retired: Mapping[int, int | None], client_id: int) -> int | None:
    """The id that stands for it in the end."""
    found: int | None = client_id
    while found is not None and found in retired:
        found = retired[found]
    return found


async def write_and_compact(log: UpdateLog, document: str, *data: bytes, epoch: int = 1) -> None:
    await log.append([row(document, each, epoch=epoch) for each in data])
    await compact(log, document)


class EpochSuite:
    """Part of `UpdateLogSuite`."""

    # Replacing

    async def test_a_replaced_document_holds_the_new_row_alone(self, log: UpdateLog, author_id: int) -> None:
        await write_and_compact(log, "a", b"1", b"2")
        before = await log.head("a")
        new = row("a", b"whole", b"more", author_id=author_id, client_ids=(11,))
        assert await log.replace(new, {1: 11}) == 2
        (found,) = await stored_rows(log, "a")
        assert found.seq > before.last_seq
        assert (found.row.updates, found.row.author_id, found.row.client_ids, found.row.epoch) == (
            new.updates,
            author_id,
            (11,),
            2,
        )
        head = await log.head("a")
        assert (head.epoch, head.snapshot, head.last_seq) == (2, None, found.seq)
        assert head.compacted_seq == before.last_seq
        assert await log.exists("a")
        assert await log.documents() == ["a"]

    async def test_the_new_epoch_is_written_and_compacted_like_the_first(self, log: UpdateLog) -> None:
        await write_and_compact(log, "a", b"1", b"2")
        for epoch in (1, 2, 3):
            assert await log.replace(row("a", b"whole", epoch=epoch), {}) == epoch + 1
            await log.append([row("a", b"more", b"still", epoch=epoch + 1)])
            assert await contents(log, "a") == await opened(log, "a") == [b"whole", b"more", b"still"]
            compaction = await compact(log, "a")
            head = await log.head("a")
            assert head.snapshot == compaction.snapshot
            assert head.compacted_seq == head.last_seq
            assert await contents(log, "a") == await opened(log, "a") == [b"whole", b"more", b"still"]
            assert all(each.row.epoch == epoch + 1 for each in await stored_rows(log, "a"))

    async def test_only_what_is_compacted_can_be_replaced(self, log: UpdateLog) -> None:
        await write_and_compact(log, "a", b"1")
        await log.append([row("a", b"2")])
        with pytest.raises(LogUnavailable) as failure:
            await log.replace(row("a", b"new"), {1: 11})
        assert not isinstance(failure.value, WrongEpoch)
        head = await log.head("a")
        assert (head.epoch, head.retired) == (1, {})
        assert await contents(log, "a") == [b"1", b"2"]

    async def test_who_comes_from_another_epoch_is_refused(self, log: UpdateLog) -> None:
        with pytest.raises(WrongEpoch):
            await log.append([row("new", b"1", epoch=2)])
        with pytest.raises(WrongEpoch):
            await log.replace(row("new", b"1"), {})
        await write_and_compact(log, "a", b"1")
        assert await log.replace(row("a", b"new"), {}) == 2
        for epoch in (0, 1, 3):
            with pytest.raises(WrongEpoch):
                await log.append([row("b", b"beside"), row("a", b"stale", epoch=epoch)])
        await compact(log, "a")
        for epoch in (0, 1, 3):
            with pytest.raises(WrongEpoch):
                await log.replace(row("a", b"stale", epoch=epoch), {1: 11})
        await log.append([row("a", b"more", epoch=2)])
        assert not await log.compact("a", replace(await compaction_of(log, "a"), epoch=1))
        assert await contents(log, "a") == [b"new", b"more"]
        assert (await log.head("a")).retired == {}
        assert await log.documents() == ["a"]

    async def test_authors_go_with_their_ids(self, log: UpdateLog, author_id: int) -> None:
        await log.append([row("a", b"1", author_id=author_id, client_ids=(1, 2)), row("a", b"2")])
        await compact(log, "a")
        await log.replace(row("a", b"new", client_ids=(11, 13)), {1: 11, 3: 13})
        head = await log.head("a")
        assert head.authors == {11: author_id}
        assert head.retired == {1: 11, 2: None, 3: 13}
        await log.append([row("a", b"more", author_id=author_id, client_ids=(14,), epoch=2)])
        await compact(log, "a")
        assert (await log.head("a")).authors == {11: author_id, 14: author_id}

    async def test_retired_ids_lead_to_those_that_stand_for_them_now(
        self, log: UpdateLog, author_id: int
    ) -> None:
        await log.append([row("a", b"1", author_id=author_id, client_ids=(1, 2, 2**53 - 1))])
        await compact(log, "a")
        await log.replace(row("a", b"two"), {1: 11, 2: 12, 2**53 - 1: 13})
        await compact(log, "a")
        await log.replace(row("a", b"three", epoch=2), {11: 21, 13: 2**53 - 2})
        head = await log.head("a")
        assert set(head.retired) == {1, 2, 2**53 - 1, 11, 12, 13}
        assert [successor(head.retired, old) for old in (1, 11, 2**53 - 1, 13)] == [
            21,
            21,
            2**53 - 2,
            2**53 - 2,
        ]
        assert [successor(head.retired, old) for old in (2, 12)] == [None, None]
        assert head.authors == {21: author_id, 2**53 - 2: author_id}

    async def test_quarantine_outlives_an_epoch(self, log: UpdateLog) -> None:
        await log.append([row("a", b"1"), row("a", b"2")])
        await quarantine(log, "a", ((await log.head("a")).last_seq, 0, "poison"))
        await compact(log, "a")
        await log.replace(row("a", b"new", b"poison too"), {})
        await quarantine(log, "a", ((await log.head("a")).last_seq, 1, "poison"))
        assert await contents(log, "a") == [b"new"]
        assert [entry.data for entry in await log.quarantined("a")] == [b"2", b"poison too"]

    async def test_a_cancelled_replacement_is_done_whole_or_not_at_all(
        self, log: UpdateLog, open_log: OpenLog
    ) -> None:
        async for name in cancelled_after_each_step(
            open_log,
            lambda log, name: write_and_compact(log, name, b"1", b"2"),
            lambda log, name: log.replace(row(name, b"new"), {1: 11}),
        ):
            head = await log.head(name)
            await log.append([row(name, b"after", epoch=head.epoch)])
            assert (head.epoch, head.retired, await contents(log, name)) in (
                (1, {}, [b"1", b"2", b"after"]),
                (2, {1: 11}, [b"new", b"after"]),
            )

    # Deleting

    async def test_a_deleted_document_is_gone_and_starts_anew(self, log: UpdateLog, author_id: int) -> None:
        await log.append([row("a", b"1", author_id=author_id, client_ids=(1,)), row("a", b"2")])
        await compact(log, "a")
        await log.append([row("a", b"3", b"4"), row("ab", b"5")])
        await quarantine(log, "a", ((await log.head("a")).last_seq, 0, "poison"))
        before = await log.head("a")
        await log.delete("a", client_ids=(1, 3, 2**53 - 1))
        assert not await log.exists("a")
        assert await contents(log, "a") == []
        assert await log.quarantined("a") == []
        assert await log.documents() == ["ab"]
        assert await contents(log, "ab") == [b"5"]
        head = await log.head("a")
        assert head == Head(2, head.last_seq, head.compacted_seq, retired=dict.fromkeys((1, 3, 2**53 - 1)))
        with pytest.raises(WrongEpoch):
            await log.append([row("a", b"stale")])
        assert not await log.exists("a")
        await log.append([row("a", b"new", epoch=2)])
        (found,) = await stored_rows(log, "a")
        assert found.seq > before.last_seq
        assert found.row.updates == row("a", b"new").updates
        assert await opened(log, "a") == [b"new"]
        assert await log.documents() == ["a", "ab"]
        await compact(log, "a")
        head = await log.head("a")
        assert (head.epoch, head.authors, set(head.retired)) == (2, {}, {1, 3, 2**53 - 1})

    async def test_compacted_ids_are_retired_when_the_document_is_deleted(
        self, log: UpdateLog, author_id: int
    ) -> None:
        await log.append([row("a", b"1", author_id=author_id, client_ids=(1,))])
        await compact(log, "a")
        await log.replace(row("a", b"new"), {1: 11})
        await log.delete("a")
        head = await log.head("a")
        assert head.authors == {}
        assert set(head.retired) == {1, 11}
        assert successor(head.retired, 11) is None
        await log.append([row("a", b"again", epoch=3)])
        await log.delete("a", client_ids=[31])
        assert (await log.head("a")).epoch == 4
        assert set((await log.head("a")).retired) == {1, 11, 31}

    async def test_a_deleted_document_can_be_put_back_under_new_ids(
        self, log: UpdateLog, author_id: int
    ) -> None:
        await log.append([row("a", b"1", author_id=author_id, client_ids=(1, 2))])
        await compact(log, "a")
        await log.replace(row("a", b"2"), {1: 11})
        await log.delete("a", client_ids=(11, 12))
        epoch = (await log.head("a")).epoch
        with pytest.raises(WrongEpoch):
            await log.replace(row("a", b"stale", epoch=epoch - 1), {11: 21})
        assert not await log.exists("a")
        assert await log.replace(row("a", b"back", epoch=epoch), {11: 21, 13: 23, 1: 99}) == epoch + 1
        head = await log.head("a")
        assert head.retired == {1: 11, 2: None, 11: 21, 12: None, 13: 23}
        assert successor(head.retired, 1) == 21
        assert (head.epoch, head.authors) == (epoch + 1, {})
        assert await log.exists("a")
        assert await contents(log, "a") == await opened(log, "a") == [b"back"]
        assert await log.documents() == ["a"]
        await compact(log, "a")
        await log.replace(row("a", b"again", epoch=epoch + 1), {2: 32, 12: 42, 13: 99})
        assert (await log.head("a")).retired == {1: 11, 2: 32, 11: 21, 12: 42, 13: 23}

    async def test_deleting_what_does_not_exist_is_no_error(self, log: UpdateLog) -> None:
        await log.delete("a", client_ids=(1,))
        assert await log.head("a") == Head()
        await log.append([row("a", b"1")])
        await log.delete("a")
        before = await log.head("a")
        await log.delete("a", client_ids=(1,))
        assert await log.head("a") == before

    async def test_a_cancelled_deletion_is_done_whole_or_not_at_all(
        self, log: UpdateLog, open_log: OpenLog
    ) -> None:
        async for name in cancelled_after_each_step(
            open_log,
            lambda log, name: write_and_compact(log, name, b"1", b"2"),
            lambda log, name: log.delete(name, client_ids=(7,)),
        ):
            head = await log.head(name)
            assert (head.epoch, head.retired, await contents(log, name), await log.exists(name)) in (
                (1, {}, [b"1", b"2"], True),
                (2, {7: None}, [], False),
            )

    # Reading over the change

    async def test_a_read_never_ends_early_because_the_document_is_deleted(self, log: UpdateLog) -> None:
        data = [b"%d" % i for i in range(1500)]
        await log.append([row("a", each) for each in data])
        seen: list[bytes] = []
        with suppress(LogUnavailable):
            async for stored in log.read("a"):
                if not seen:
                    await log.delete("a")
                    await log.append([row("a", b"other", epoch=2) for _ in range(1600)])
                seen += (update.data for update in stored.row.updates)
            assert len(seen) == 1500
        assert seen == data[: len(seen)]

    async def test_a_read_never_goes_from_one_epoch_to_the_next(self, log: UpdateLog) -> None:
        data = [b"%d" % i for i in range(1500)]
        await log.append([row("a", each) for each in data])
        seen: list[Update] = []
        with suppress(LogUnavailable):
            async for stored in log.read("a"):
                if not seen:
                    await compact(log, "a")
                    await log.replace(row("a", b"other"), {})
                seen += stored.row.updates
            assert len(seen) == 1500
        assert [update.data for update in seen] == data[: len(seen)]

    async def test_epochs_are_the_same_for_everybody(self, open_log: OpenLog) -> None:
        one, other = await open_log(), await open_log()
        await write_and_compact(one, "a", b"1")
        await other.replace(row("a", b"new"), {1: 11})
        with pytest.raises(WrongEpoch):
            await one.append([row("a", b"stale")])
        assert await contents(one, "a") == [b"new"]
        assert (await one.head("a")).retired == {1: 11}
        await one.close()
        await other.close()
