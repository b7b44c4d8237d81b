"""`python -m bench.store acks | curve`: what the store does on this machine, every commit synced to disk.

`acks`: acknowledged updates a second for 1, 10 and 100 documents, each with so many updates on their way; and how
long an update waits for its acknowledgement when each document gets 20 a second.
`curve`: how long a document takes to open after 1,000 to 1,000,000 edits that end in the same text, and what it
takes on disk, before and after compaction.

`--database-url` chooses another database than SQLite in a temporary folder (`TMPDIR` chooses the disk).
"""

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import anyio
from sqlalchemy import Connection, text

from bench.histories import HISTORIES
from crdt_store.compaction import compact
from crdt_store.engine import create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.journal import Journal
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import Row, Update
from server.engine.condenser import Condenser
from server.rooms.loading import load_document

DOCUMENTS, LATENCY_DOCUMENTS = (1, 10, 100), (1, 10, 100)
ON_THEIR_WAY = 64
UPDATES_A_SECOND = 20
UPDATE = bytes(22)  # as long as a typed character's
EDITS = (1_000, 10_000, 100_000, 1_000_000)
EDITS_PER_ROW = 20  # what a flush gathers from a quick typist
OPENINGS = 7


@asynccontextmanager
async def opened_log(database_url: str | None) -> AsyncIterator[tuple[SqlUpdateLog, str]]:
    with tempfile.TemporaryDirectory(prefix="costudio-bench-") as folder:
        url = database_url or f"sqlite:///{Path(folder) / 'bench.db'}"
        migrate(url)
        log = SqlUpdateLog(create_engine(url))
        yield log, url
        await log.close()


async def acks(database_url: str | None, seconds: float) -> None:
    print(f"{'documents':>9}{'acked/s':>10}    {'updates/s':>9}{'p50 ms':>8}{'p99 ms':>8}")
    for documents in DOCUMENTS:
        async with opened_log(database_url) as (log, _):
            async with GroupCommit(log, max_pending_bytes=2**26) as commits:
                rate = await _saturate(commits, documents, seconds)
            async with GroupCommit(log, max_pending_bytes=2**26) as commits:
                waits = await _wait_for_each(commits, documents, seconds)
        percentiles = statistics.quantiles(waits, n=100)
        print(
            f"{documents:>9}{rate:>10.0f}    {documents * UPDATES_A_SECOND:>9}"
            f"{percentiles[49]:>8.2f}{percentiles[98]:>8.2f}"
        )


async def _saturate(commits: GroupCommit, documents: int, seconds: float) -> float:
    """Acknowledged updates a second when each document always has some on their way."""
    ends_at = time.perf_counter() + seconds
    acked = 0

    def keep_busy(number: int) -> None:
        def committed(position: int) -> None:
            nonlocal acked
            acked += position - seen[0]
            seen[0] = position
            if time.perf_counter() < ends_at:
                for _ in range(ON_THEIR_WAY - (journal.submitted - position)):
                    _append(journal)

        seen = [0]
        journal = commits.journal(f"saturated:{number}", committed, _give_up)
        for _ in range(ON_THEIR_WAY):
            _append(journal)

    for number in range(documents):
        keep_busy(number)
    started = time.perf_counter()
    await anyio.sleep(seconds)
    await commits.drain()
    return acked / (time.perf_counter() - started)


async def _wait_for_each(commits: GroupCommit, documents: int, seconds: float) -> list[float]:
    """Milliseconds from handing over to acknowledgement, of updates that come at a steady pace."""
    waits: list[float] = []

    async def write(number: int) -> None:
        sent: list[float] = []

        def committed(position: int) -> None:
            now = time.perf_counter()
            waits.extend((now - at) * 1000 for at in sent)
            sent.clear()

        journal = commits.journal(f"paced:{number}", committed, _give_up)
        await anyio.sleep(number / documents / UPDATES_A_SECOND)
        for _ in range(int(seconds * UPDATES_A_SECOND)):
            sent.append(time.perf_counter())
            _append(journal)
            await anyio.sleep(1 / UPDATES_A_SECOND)

    async with anyio.create_task_group() as tasks:
        for number in range(documents):
            tasks.start_soon(write, number)
    await commits.drain()
    return waits


async def curve(database_url: str | None, histories: Iterable[str], edits: Iterable[int]) -> None:
    print(
        f"{'history':<10}{'edits':>9}{'open, log only':>16}{'open, snapshot':>16}{'bytes/edit':>12}{'after':>7}"
    )
    for history in histories:
        for count in edits:
            async with opened_log(database_url) as (log, url):
                await _store(log, history, count)
                size_before = await _used_bytes(log)
                opening_log = await _open_ms(url, 1 if count > 100_000 else 3)
                condenser = Condenser(job_seconds=600)
                while await compact(log, condenser.condense, history) is not None:
                    pass
                await condenser.aclose()
                opening = await _open_ms(url, OPENINGS)
                size = await _used_bytes(log)
            print(
                f"{history:<10}{count:>9}{opening_log:>13.1f} ms{opening:>13.1f} ms"
                f"{size_before / count:>12.1f}{size / count:>7.1f}"
            )


async def _store(log: SqlUpdateLog, history: str, count: int) -> None:
    updates = HISTORIES[history](count)
    at_ms = 1_800_000_000_000
    while rows := [
        Row(history, None, (1,), tuple(Update(data, at_ms) for data in batch))
        for _ in range(500)
        if (batch := tuple(islice(updates, EDITS_PER_ROW)))
    ]:
        at_ms += 100_000
        await log.append(rows)


async def _open_ms(url: str, times: int) -> float:
    """Median milliseconds until a newcomer's SyncStep2 is there, the database being opened anew each time."""
    taken = []
    for _ in range(times):
        log = SqlUpdateLog(create_engine(url))
        await log.exists("nothing")  # a server has its connections open
        started = time.perf_counter()
        (name,) = await log.documents()
        document = (await load_document(log, name)).document
        document.encode_since(b"\0")
        taken.append((time.perf_counter() - started) * 1000)
        await log.close()
    return statistics.median(taken)


async def _used_bytes(log: SqlUpdateLog) -> int:
    """What the tables and indexes take; 0 where that is not known."""
    return await log._database.read(_measure)


def _measure(connection: Connection) -> int:
    if connection.dialect.name != "sqlite":
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    pages, free, size = (
        connection.scalar(text(f"PRAGMA {name}")) or 0
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _append(journal: Journal) -> None:
    journal.append(UPDATE, author_id=None, client_ids=(1,), received_at_ms=int(time.time() * 1000))


def _give_up(failure: Exception) -> None:
    raise SystemExit(failure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("acks", "curve"))
    parser.add_argument("--database-url")
    parser.add_argument("--seconds", type=float, default=5, help="acks: length of each measurement")
    parser.add_argument(
        "--history", choices=sorted(HISTORIES), action="append", help="curve: which; default: all"
    )
    parser.add_argument(
        "--edits", type=int, action="append", help="curve: how many; default: 1,000 to 1,000,000"
    )
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # a line for each database that is opened
    if options.what == "acks":
        anyio.run(acks, options.database_url, options.seconds)
    else:
        anyio.run(curve, options.database_url, options.history or sorted(HISTORIES), options.edits or EDITS)


if __name__ == "__main__":
    main()
