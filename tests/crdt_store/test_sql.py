"""SqlUpdateLog does what every update log does, also when several processes write to the same database."""

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import anyio.lowlevel
import anyio.to_thread
import pytest
from sqlalchemy import Connection, Executable, update

from crdt_store import transactions
from crdt_store.engine import Database, create_engine
from crdt_store.sql import SqlUpdateLog
from crdt_store.tables import documents, updates
from crdt_store.update_log import LogUnavailable, StoredRow, Update, UpdateLog
from crdt_store.users import UserDirectory
from tests.acceptance.update_log_suite import OpenLog, UpdateLogSuite, contents, row

PROCESSES, APPENDS = 4, 50
POLLED_APPENDS = 100

# In turns in this order and in that, so that writers would wait for each other if the locks had none.
_CROSSING_WRITER = """
import asyncio, sys
from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from tests.acceptance.update_log_suite import row

async def main(url, writer, appends, names):
    log = SqlUpdateLog(create_engine(url))
    for i in range(appends):
        await log.append([row(name, f"{writer}-{i}".encode()) for name in names[:: 1 if i % 2 else -1]])
    await log.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
"""

_WRITER = """
import asyncio, sys
from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from tests.acceptance.update_log_suite import row

async def main(url, writer, appends):
    log = SqlUpdateLog(create_engine(url))
    for i in range(appends):
        await log.append([row("a", f"{writer}-{i}".encode()), row(f"new:{i}", writer.encode())])
    await log.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


class TestSqlUpdateLog(UpdateLogSuite):
    @pytest.fixture
    def open_log(self, database_url: str) -> OpenLog:
        async def open_log() -> UpdateLog:
            return SqlUpdateLog(create_engine(database_url))

        return open_log

    @pytest.fixture
    async def author_id(self, database: Database) -> int:
        return await UserDirectory(database).id_of("issuer", "subject", "Ada")


async def test_several_processes_append_to_the_same_documents(database_url: str, log: SqlUpdateLog) -> None:
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITER, database_url, str(writer), str(APPENDS)
        )
        for writer in range(PROCESSES)
    ]
    assert [await writer.wait() for writer in writers] == [0] * PROCESSES
    found = await contents(log, "a")
    assert sorted(found) == sorted(b"%d-%d" % (w, i) for w in range(PROCESSES) for i in range(APPENDS))
    for writer in range(PROCESSES):
        own = [data for data in found if data.startswith(b"%d-" % writer)]
        assert own == [b"%d-%d" % (writer, i) for i in range(APPENDS)]
    for i in range(APPENDS):
        assert sorted(await contents(log, f"new:{i}")) == [b"%d" % writer for writer in range(PROCESSES)]


async def test_a_reader_that_resumes_misses_nothing_and_repeats_nothing(
    database_url: str, log: SqlUpdateLog
) -> None:
    """Writers of several processes append to the same two documents while they are read bit by bit."""
    names = ("a", "b")
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CROSSING_WRITER, database_url, str(writer), str(POLLED_APPENDS), *names
        )
        for writer in range(PROCESSES)
    ]
    seen: dict[str, list[StoredRow]] = {name: [] for name in names}
    resumed = 0
    while any(len(rows) < PROCESSES * POLLED_APPENDS for rows in seen.values()):
        assert not any(process.returncode for process in processes)
        for name, rows in seen.items():
            new = [each async for each in log.read(name, after=rows[-1].seq if rows else 0)]
            resumed += bool(new)
            rows.extend(new)
    assert [await process.wait() for process in processes] == [0] * PROCESSES
    assert resumed > 10
    for name, rows in seen.items():
        assert [each.seq for each in rows] == list(range(1, PROCESSES * POLLED_APPENDS + 1))
        assert rows == [each async for each in log.read(name)]
        data = [each.row.updates[0].data for each in rows]
        for writer in range(PROCESSES):
            own = [each for each in data if each.startswith(b"%d-" % writer)]
            assert own == [b"%d-%d" % (writer, i) for i in range(POLLED_APPENDS)]


async def test_reading_does_not_wait_for_a_writer_of_another_process(
    database_url: str, log: SqlUpdateLog
) -> None:
    await log.append([row("a", b"1")])
    other = create_engine(database_url)
    writing, may_end = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        connection.execute(update(documents).values(last_seq=documents.c.last_seq))
        writing.set()
        may_end.wait(10)

    holder = threading.Thread(target=lambda: asyncio.run(_write_and_close(other, hold)))
    holder.start()
    await anyio.to_thread.run_sync(writing.wait)
    assert await contents(log, "a") == [b"1"]
    assert holder.is_alive()
    may_end.set()
    await anyio.to_thread.run_sync(holder.join)


async def _write_and_close(database: Database, body: Callable[[Connection], None]) -> None:
    await database.write(body)
    await database.close()


async def test_an_unknown_author_is_refused_and_nothing_is_stored(log: SqlUpdateLog) -> None:
    with pytest.raises(LogUnavailable, match=r"(?i)foreign key"):
        await log.append([row("a", b"1"), row("b", b"2", author_id=12345)])
    assert await log.documents() == []


async def test_closing_ends_the_threads(path: Path) -> None:
    before = set(threading.enumerate())
    log = SqlUpdateLog(create_engine(str(path)))
    await log.append([row("a", b"1")])
    await asyncio.gather(*(contents(log, "a") for _ in range(10)))
    started = [thread for thread in set(threading.enumerate()) - before if "database" in thread.name]
    assert started
    await log.close()
    assert not any(thread.is_alive() for thread in started)


@pytest.mark.parametrize("steps", range(6))
async def test_closing_ends_a_thread_whose_starter_was_cancelled(path: Path, steps: int) -> None:
    before = set(threading.enumerate())
    log = SqlUpdateLog(create_engine(str(path)))
    reading = asyncio.ensure_future(contents(log, "a"))
    for _ in range(steps):
        await anyio.lowlevel.checkpoint()
    reading.cancel()
    await asyncio.wait({reading})
    await log.close()
    assert not [thread for thread in set(threading.enumerate()) - before if "database" in thread.name]


@pytest.mark.parametrize(
    "refused",
    [
        updates.insert().values(document_id=12345, payload=b"confidential"),
        documents.insert().values(name="confidential"),
        documents.insert().values(id="confidential"),
        documents.insert().values(name="confidential \ud800", last_seq=0, created_at_ms=0),
    ],
)
async def test_what_people_write_is_in_no_error_message(database: Database, refused: Executable) -> None:
    with pytest.raises((LogUnavailable, UnicodeEncodeError)) as failure:
        await database.write(lambda connection: connection.execute(refused))
    shown: traceback.TracebackException | None
    shown = traceback.TracebackException.from_exception(failure.value)
    while shown is not None:
        message = "".join(shown.format_exception_only())
        assert "confidential" not in message
        assert b"confidential".hex() not in message
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)


async def test_a_batch_is_bounded_in_bytes(log: SqlUpdateLog) -> None:
    mebibyte = bytes(2**20)
    await log.append([row("a", mebibyte) for _ in range(10)])
    batch = await log._database.read(lambda connection: transactions.read_batch(connection, "a", 0))
    assert 1 < len(batch.rows) < 10
    assert batch.last_seq == 10
    assert len(await contents(log, "a")) == 10
    assert batch.rows[0].row.updates == (Update(mebibyte, batch.rows[0].row.updates[0].received_at_ms),)
