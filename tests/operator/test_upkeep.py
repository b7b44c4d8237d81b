"""`costudio verify`, `compact` and `gc`: what is damaged is named, and nothing is lost by looking or tidying."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import pytest

from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import Row, Update
from tests.operator.commands import costudio
from tests.operator.studio import FILES, NOW_MS, everything
from tests.services.postgres import PostgresServer
from tests.wire.client import Writer

ONE, PLAN, THREE = FILES
ODD = "workspace:1/odd.md"
DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def data_dir(studio_file: Path, tmp_path: Path) -> Path:
    """With an SQLite database in which there is something."""
    shutil.copy(studio_file, tmp_path / "costudio.db")
    return tmp_path


def execute(data_dir: Path, statement: str, *parameters: object) -> None:
    with closing(sqlite3.connect(data_dir / "costudio.db", isolation_level=None)) as connection:
        assert connection.execute(statement, parameters).rowcount > 0


def of(name: str, seq: int) -> str:
    return f"WHERE document_id = (SELECT id FROM documents WHERE name = '{name}') AND seq = {seq}"


async def append(url: str, *updates: bytes) -> None:
    database = create_engine(url)
    rows = [Row(ODD, None, (), (Update(data, NOW_MS),)) for data in updates]
    await SqlUpdateLog(database).append(rows)
    await database.close()


def odd_updates() -> list[bytes]:
    """Of which the first is none, and the second builds on what is not there."""
    writer = Writer(9)
    writer.type("never stored")
    return [b"no update at all", writer.type("builds on that"), Writer(10).type("fine")]


def test_a_whole_database_has_nothing_wrong(data_dir: Path) -> None:
    done = costudio("verify", "--all", data_dir=data_dir)
    assert (done.exit_code, "nothing wrong" in done.stdout) == (0, True), done.stderr


def test_every_kind_of_damage_is_found_and_named_and_left_as_it_is(data_dir: Path) -> None:
    anyio.run(append, str(data_dir / "costudio.db"), *odd_updates())
    execute(data_dir, f"UPDATE updates SET payload = x'00' {of(ONE, 1)}")
    execute(data_dir, f"DELETE FROM updates {of(THREE, 2)}")
    execute(data_dir, f"UPDATE snapshots SET summary = x'00' {of(PLAN, 2)}")
    execute(data_dir, "UPDATE projects SET created_at = 'yesterday'")
    before = (data_dir / "costudio.db").read_bytes()

    done = costudio("verify", "--all", "--json", data_dir=data_dir)
    said = json.loads(done.stdout)
    found = {(each["document"], each["what"]): each["error"] for each in said["findings"]}
    assert done.exit_code == 1
    assert found.keys() == {
        (ONE, "row 1"),
        (THREE, "rows 2 to 2"),
        (THREE, "update 0 of row 3"),
        (PLAN, "snapshot 2"),
        (ODD, "update 0 of row 1"),
        (ODD, "update 0 of row 2"),
        (None, "table projects"),
    }
    assert found[ONE, "row 1"] == "the checksum does not match"
    assert "builds on" in found[ODD, "update 0 of row 2"]
    assert said["documents"] == 4
    assert (data_dir / "costudio.db").read_bytes() == before

    one = costudio("verify", ONE, data_dir=data_dir)
    assert (one.exit_code, one.stdout.splitlines()[0]) == (1, f"{ONE}: row 1: the checksum does not match")
    assert costudio("verify", PLAN, "--memory-mib", 256, data_dir=data_dir).exit_code == 1


def test_a_database_of_postgresql_is_verified_too(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    anyio.run(append, postgres_url, *odd_updates())
    postgres.execute("UPDATE updates SET author_id = NULL, payload = '\\x00' WHERE seq = 3", url=postgres_url)
    done = costudio("verify", "--all", "--json", data_dir=tmp_path, DATABASE_URL=postgres_url)
    found = [each["what"] for each in json.loads(done.stdout)["findings"]]
    assert (done.exit_code, found) == (1, ["row 3", "update 0 of row 1", "update 0 of row 2"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["verify"], "--all"),
        (["verify", "--all", ONE], "--all"),
        (["verify", "global"], "no document"),
        (["verify", "workspace:1/none.md"], "no room"),
        (["compact"], "--all"),
        (["compact", "chat:x"], "names no room"),
    ],
)
def test_what_a_command_is_about_is_said(data_dir: Path, arguments: list[str], named: str) -> None:
    done = costudio(*arguments, data_dir=data_dir)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert named in done.stderr


@pytest.mark.parametrize("command", [["verify", "--all"], ["compact", "--all"], ["gc"], ["gc", "--dry-run"]])
def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, command: list[str]) -> None:
    done = costudio(*command, data_dir=tmp_path)
    assert (done.exit_code, "costudio.db" in done.stderr) == (2, True)
    assert list(tmp_path.glob("*.db")) == []


def test_documents_are_compacted_and_a_rehearsal_does_nothing(studio_url: str, tmp_path: Path) -> None:
    run = partial(costudio, data_dir=tmp_path, DATABASE_URL=studio_url)
    before = everything(studio_url)
    rehearsal = run("compact", "--all", "--dry-run")
    assert rehearsal.stdout == "3 documents, 5 rows to move to the history\n"
    assert everything(studio_url) == before
    assert run("compact", PLAN).stdout == "1 documents, 1 rows moved to the history\n"
    done = run("compact", "--all")
    assert (done.exit_code, done.stdout) == (0, "2 documents, 4 rows moved to the history\n")
    assert "updates" not in everything(studio_url)
    assert run("verify", "--all").exit_code == 0
    assert run("gc", "--older-than-days", 1).exit_code == 0
    assert run("verify", "--all").exit_code == 0


def test_gc_removes_what_is_spent_and_gives_back_its_room(data_dir: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    execute(data_dir, "UPDATE tickets SET expires_at_ms = ?", now_ms)
    token = "INSERT INTO revocations (token_id, before_ms, expires_at_ms, revoked_by, revoked_at_ms)"
    execute(data_dir, f"{token} VALUES ('old', 0, ?, 1, 0), ('new', 0, ?, 1, 0)", now_ms, now_ms + DAY_MS)
    entry = "INSERT INTO quarantine (document_id, seq, position, error, data, found_at_ms, active)"
    for found_at_ms in (now_ms - 3 * DAY_MS, now_ms - DAY_MS):
        for active in (0, 1):
            execute(data_dir, f"{entry} VALUES (1, 1, 0, '', ?, ?, ?)", b"x" * 10**6, found_at_ms, active)
    size_bytes = (data_dir / "costudio.db").stat().st_size

    rehearsal = costudio("gc", "--dry-run", "--older-than-days", 2, data_dir=data_dir)
    counts = rehearsal.stdout.splitlines()
    assert counts[:4] == [
        "1 expired tickets",
        "1 expired revocations",
        "0 conflicts of deleted documents",
        "1 old entries of quarantine",
    ]
    assert len(everything(str(data_dir / "costudio.db"))["quarantine"]) == 4
    assert costudio("gc", data_dir=data_dir).stdout.splitlines()[1:4] == counts[:3]
    assert len(everything(str(data_dir / "costudio.db"))["quarantine"]) == 4
    done = costudio("gc", "--older-than-days", 2, data_dir=data_dir)
    assert done.exit_code == 0, done.stderr
    left = everything(str(data_dir / "costudio.db"))
    assert [row[1] for row in left["revocations"]] == ["new"]
    assert sorted((row[6] - now_ms, row[7]) for row in left["quarantine"]) == [
        (-3 * DAY_MS, True),
        (-DAY_MS, False),
        (-DAY_MS, True),
    ]
    assert (data_dir / "costudio.db").stat().st_size < size_bytes - 900_000
