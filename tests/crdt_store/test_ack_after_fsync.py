"""No acknowledgement leaves before what it speaks of is on the disk."""

import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from tests.acceptance.log_rows import compact, row
from tests.crdt_store.ack_child import ACK, APPENDS, MARK

STRACE = (
    "strace",
    "-f",
    "-y",  # names of files
    "-s",
    "5000",  # a page of the database whole
    "-e",
    "trace=write,pwrite64,writev,pwritev,fsync,fdatasync",
)
CALL = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<file>\d+<[^>]*>)(?P<rest>.*)")
RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>.*= (?P<result>-?\d+)")
FULL = 2


def test_every_acknowledgement_follows_the_fsync_of_its_commit(sqlite_url: str, tmp_path: Path) -> None:
    """As the kernel sees it, where processes can be traced; the driver's view is tested everywhere, below."""
    trace = tmp_path / "trace"
    tracer = [*STRACE, "-o", str(trace)] if _can_trace() else []
    command = [*tracer, sys.executable, "-m", "tests.crdt_store.ack_child", sqlite_url]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True)
    expected = [*(b"%s%d" % (ACK, number) for number in range(APPENDS)), ACK + b"compaction", ACK + b"epoch"]
    assert done.stdout.splitlines() == expected
    if tracer:
        assert acknowledgements_after_fsync(trace.read_text(errors="replace")) == len(expected)


def _can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run([*STRACE, "-o", "/dev/null", "true"], capture_output=True).returncode == 0


def acknowledgements_after_fsync(trace: str) -> int:
    """How many acknowledgements there are; fails at one before which something of the WAL was not synchronised."""
    acknowledged = written = synchronised = 0  # the last two: number of the line
    written_data = ""
    syncing: dict[str, int] = {}
    for number, line in enumerate(trace.splitlines(), start=1):
        if resumed := RESUMED.match(line):
            began = syncing.pop(resumed["pid"], 0)
            if resumed["result"] == "0" and began:
                synchronised = max(synchronised, began)
        elif call := CALL.match(line):
            file = call["file"]
            if call["name"] in ("fsync", "fdatasync"):
                if not file.endswith("-wal>"):
                    continue
                if "unfinished" in call["rest"]:
                    syncing[call["pid"]] = number
                elif call["rest"].endswith("= 0"):
                    synchronised = number
            elif file.endswith("-wal>"):
                written = number
                written_data += call["rest"]
            elif file.startswith("1<") and ACK.decode() in call["rest"]:
                assert 0 < written < synchronised, line
                if acknowledged < APPENDS:
                    assert f"{MARK.decode()}{acknowledged}." in written_data
                acknowledged += 1
                written_data = ""
    return acknowledged


COMMIT = '7 pwrite64(11</a.db-wal>, "data of the update 0.", 24, 0) = 24'
SYNC = "7 fdatasync(11</a.db-wal>) = 0"
ACKNOWLEDGED = '6 write(1<pipe:[1]>, "acknowledged 0\\n", 15) = 15'


@pytest.mark.parametrize(
    "lines",
    [
        (COMMIT, ACKNOWLEDGED, SYNC),
        (SYNC, COMMIT, ACKNOWLEDGED),
        (
            COMMIT,
            "7 fdatasync(11</a.db-wal> <unfinished ...>",
            ACKNOWLEDGED,
            "7 <... fdatasync resumed>) = 0",
        ),
        (
            "7 fdatasync(11</a.db-wal> <unfinished ...>",
            COMMIT,
            "7 <... fdatasync resumed>) = 0",
            ACKNOWLEDGED,
        ),
        (COMMIT, "7 fdatasync(11</a.db-wal>) = -1 EIO (Input/output error)", ACKNOWLEDGED),
        (COMMIT, "7 fdatasync(12</a>) = 0", ACKNOWLEDGED),
        (COMMIT.replace(" 0.", " 1."), SYNC, ACKNOWLEDGED),
        (SYNC, ACKNOWLEDGED),
    ],
)
def test_an_acknowledgement_that_comes_too_early_is_noticed(lines: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError):
        acknowledgements_after_fsync("\n".join(lines))


def test_one_in_time_is_counted() -> None:
    unfinished = (COMMIT, "7 fdatasync(11</a.db-wal> <unfinished ...>", "7 <... fdatasync resumed>) = 0")
    for lines in ((COMMIT, SYNC, ACKNOWLEDGED), (*unfinished, ACKNOWLEDGED)):
        assert acknowledgements_after_fsync("\n".join(lines)) == 1


async def test_the_driver_has_committed_with_full_synchronisation_before_an_acknowledgement(
    path: Path,
) -> None:
    commits: list[tuple[int, str]] = []

    class Recording(sqlite3.Connection):
        def commit(self) -> None:
            writes = self.in_transaction
            super().commit()
            if writes:
                (synchronous,) = self.execute("PRAGMA synchronous").fetchone()
                (mode,) = self.execute("PRAGMA journal_mode").fetchone()
                commits.append((synchronous, mode))

    log = SqlUpdateLog(create_engine(str(path), connection_class=Recording))
    for number in range(APPENDS):
        before = len(commits)
        await log.append([row("a", b"%d" % number)])
        assert commits[before:] == [(FULL, "wal")]
    await compact(log, "a")
    before = len(commits)
    await log.replace(row("a", b"new"), {})
    assert commits[before:] == [(FULL, "wal")]
    await log.close()
