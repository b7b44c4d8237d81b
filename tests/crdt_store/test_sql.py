"""SqlUpdateLog does what every update log does, also when several processes write the same file."""

import asyncio
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from crdt_store import transactions
from crdt_store.engine import Database, create_engine
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import LogUnavailable, Update, UpdateLog
from crdt_store.users import UserDirectory
from tests.acceptance.update_log_suite import OpenLog, UpdateLogSuite, contents, row

PROCESSES, APPENDS = 4, 50

_WRITER = """
import asyncio, sys
from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from tests.acceptance.update_log_suite import row

async def main(path, writer, appends):
    log = SqlUpdateLog(create_engine(path))
    for i in range(appends):
        await log.append([row("a", f"{writer}-{i}".encode()), row(f"new:{i}", writer.encode())])
    await log.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


class TestSqlUpdateLog(UpdateLogSuite):
    @pytest.fixture
    def open_log(self, path: Path) -> OpenLog:
        async def open_log() -> UpdateLog:
            return SqlUpdateLog(create_engine(f"sqlite:///{path}"))

        return open_log

    @pytest.fixture
    async def author_id(self, database: Database) -> int:
        return await UserDirectory(database).id_of("issuer", "subject", "Ada")


async def test_several_processes_append_to_the_same_documents(path: Path, log: SqlUpdateLog) -> None:
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITER, str(path), str(writer), str(APPENDS)
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


async def test_reading_does_not_wait_for_a_writer_of_another_process(path: Path, log: SqlUpdateLog) -> None:
    await log.append([row("a", b"1")])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert await contents(log, "a") == [b"1"]
    other.execute("ROLLBACK")
    other.close()


async def test_an_unknown_author_is_refused_and_nothing_is_stored(log: SqlUpdateLog) -> None:
    with pytest.raises(LogUnavailable, match="FOREIGN KEY"):
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


async def test_what_people_write_is_in_no_error_message(log: SqlUpdateLog) -> None:
    with pytest.raises(LogUnavailable) as failure:
        await log.append([row("a", b"confidential", author_id=12345)])
    causes: list[BaseException | None] = [failure.value]
    while causes[-1] is not None:
        assert "confidential" not in str(causes[-1])
        causes.append(causes[-1].__cause__)
    assert len(causes) > 2


async def test_a_batch_is_bounded_in_bytes(log: SqlUpdateLog) -> None:
    mebibyte = bytes(2**20)
    await log.append([row("a", mebibyte) for _ in range(10)])
    batch = await log._database.read(lambda connection: transactions.read_batch(connection, "a", 0))
    assert 1 < len(batch.rows) < 10
    assert batch.last_seq == 10
    assert len(await contents(log, "a")) == 10
    assert batch.rows[0].row.updates == (Update(mebibyte, batch.rows[0].row.updates[0].received_at_ms),)
