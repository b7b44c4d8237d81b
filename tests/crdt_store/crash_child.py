"""A process that edits, compacts and replaces documents and reports what it was told is done, until it is killed."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from multiprocessing.connection import Connection

import anyio

from crdt_store.engine import create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import LogUnavailable
from tests.acceptance.log_rows import compaction_of, row

JOURNALED = ("log", "compacted", "also compacted")
REPLACED = "replaced"
DOCUMENTS = (*JOURNALED, REPLACED)
MAX_AHEAD = 20  # edits of a document that wait for their acknowledgement

Report = Callable[[str, str, int], None]
"""(what is done, the document's name, its number): "saved" a position, "compacted" a seq, "replaced" an epoch."""


def edit_for_ever(url: str, generation: str, turn: int, reports: Connection) -> None:
    """Edit the documents of a generation. The data of an update is `turn:position`, positions count from 1."""

    def report(done: str, name: str, number: int) -> None:
        reports.send((done, name, number))

    # A server that is killed ends the child too; the test notices one that ends too early.
    try:
        asyncio.run(_edit_for_ever(url, generation, turn, report))
    except* LogUnavailable:
        pass


async def _edit_for_ever(url: str, generation: str, turn: int, report: Report) -> None:
    log = SqlUpdateLog(create_engine(url))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_replace_for_ever, log, generation, turn, report)
        news = {name: asyncio.Event() for name in JOURNALED}
        for name in JOURNALED[1:]:
            tasks.start_soon(_compact_for_ever, log, generation, name, news[name], report)
        await _journal_for_ever(log, generation, turn, news, report)


async def _journal_for_ever(
    log: SqlUpdateLog, generation: str, turn: int, news: dict[str, asyncio.Event], report: Report
) -> None:
    """As the server does."""

    def committed(name: str, position: int) -> None:
        report("saved", name, position)
        news[name].set()

    async with GroupCommit(log, max_pending_bytes=2**20) as commits:
        journals = [
            commits.journal(generation + name, partial(committed, name), lambda failure: None)
            for name in JOURNALED
        ]
        while True:
            for journal in journals:
                if journal.failure is not None:
                    raise journal.failure
                if journal.submitted - journal.committed < MAX_AHEAD:
                    data = b"%d:%d" % (turn, journal.submitted + 1)
                    journal.append(data, author_id=None, client_ids=(turn,), received_at_ms=turn)
            await anyio.lowlevel.checkpoint()


async def _compact_for_ever(
    log: SqlUpdateLog, generation: str, name: str, news: asyncio.Event, report: Report
) -> None:
    while True:
        await news.wait()
        news.clear()
        compaction = await compaction_of(log, generation + name)
        if compaction.rows and await log.compact(generation + name, compaction):
            report("compacted", name, compaction.snapshot.seq)


async def _replace_for_ever(log: SqlUpdateLog, generation: str, turn: int, report: Report) -> None:
    """Each epoch begins with one row that has all that there was."""
    document = generation + REPLACED
    epoch = (await log.head(document)).epoch
    for position in count(1):
        await log.append([row(document, b"%d:%d" % (turn, position), epoch=epoch)])
        report("saved", REPLACED, position)
        if position % 2 == 0:
            compaction = await compaction_of(log, document)
            assert await log.compact(document, compaction)
            report("compacted", REPLACED, compaction.snapshot.seq)
            whole = row(document, *compaction.snapshot.updates, epoch=epoch)
            epoch = await log.replace(whole, {epoch: epoch + 1})
            report("replaced", REPLACED, epoch)
