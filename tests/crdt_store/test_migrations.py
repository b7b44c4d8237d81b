"""A database is brought to the tables of this code, or refused: never replaced by an empty one."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from alembic import command
from crdt_store import migrations
from crdt_store.engine import database_path, postgres_dsn
from crdt_store.migrations import HEAD, UnknownSchema, alembic_config, migrate
from crdt_store.postgres import run_in_transaction
from crdt_store.sqlite import sqlite_engine
from crdt_store.tables import is_compared, metadata
from crdt_store.update_log import LogUnavailable
from tests.services.postgres import PostgresServer

T = TypeVar("T")
ROOT = Path(__file__).parent.parent.parent


POSTGRES_COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name
    FROM information_schema.columns WHERE table_schema = 'public'
"""
POSTGRES_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""
POSTGRES_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
NEW_DOCUMENT = "INSERT INTO documents (name, last_seq, created_at_ms) VALUES ('a', 0, 0)"


class Place:
    """A database, looked at with nothing of the code that is tested."""

    def __init__(self, url: str, postgres: PostgresServer | None) -> None:
        self.url = url
        self._postgres = postgres

    def execute(self, *statements: str) -> None:
        if self._postgres is not None:
            self._postgres.execute(*statements, url=self.url)
            return
        with closing(sqlite3.connect(database_path(self.url), isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    def count(self, table: str) -> int:
        """How many rows the table has."""
        query = f"SELECT count(*) FROM {table}"
        if self._postgres is not None:
            ((count,),) = self._postgres.execute(query, url=self.url)
        else:
            with closing(sqlite3.connect(database_path(self.url))) as connection:
                ((count,),) = connection.execute(query).fetchall()
        return int(count)

    def dump(self) -> list[str]:
        """All there is: definitions and rows."""
        if self._postgres is None:
            with closing(sqlite3.connect(database_path(self.url))) as connection:
                return list(connection.iterdump())
        lines = self.schema()
        for table in sorted({line.split("|")[0] for line in lines}):
            rows = self._postgres.execute(f'SELECT "{table}"::text FROM "{table}" ORDER BY 1', url=self.url)
            lines += [f"{table}: {text}" for (text,) in rows]
        return lines

    def schema(self) -> list[str]:
        """The definitions, without those of Alembic's own table."""
        if self._postgres is None:
            with closing(sqlite3.connect(database_path(self.url))) as connection:
                found = connection.execute(
                    "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'sqlite_sequence'"
                )
                # The columns may come in another order in a table that a migration has made anew.
                lines = [f"{name}|{' '.join(sorted(sql.replace(',', ' ').split()))}" for name, sql in found]
        else:
            lines = [
                "|".join(map(str, row))
                for query in (POSTGRES_COLUMNS, POSTGRES_CONSTRAINTS, POSTGRES_INDEXES)
                for row in self._postgres.execute(query, url=self.url)
            ]
        return sorted(line for line in lines if not line.startswith("alembic_version"))


def on(url: str, body: Callable[[Connection], T]) -> T:
    dsn = postgres_dsn(url)
    if dsn is not None:
        return run_in_transaction(dsn, body)
    engine = sqlite_engine(database_path(url), begin="BEGIN IMMEDIATE", create=True)
    try:
        with engine.begin() as connection:
            return body(connection)
    finally:
        engine.dispose()


@pytest.fixture
def server(request: pytest.FixtureRequest, kind: str) -> PostgresServer | None:
    return request.getfixturevalue("postgres") if kind == "postgres" else None


@pytest.fixture
def place(database_url: str, server: PostgresServer | None) -> Place:
    """A migrated database."""
    return Place(database_url, server)


@pytest.fixture
def empty_place(empty_url: str, server: PostgresServer | None) -> Place:
    return Place(empty_url, server)


def test_the_migrated_tables_are_those_of_the_code(database_url: str) -> None:
    def check(connection: Connection) -> None:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": is_compared}
        )
        assert compare_metadata(context, metadata) == []
        assert ScriptDirectory.from_config(alembic_config(connection)).get_current_head() == HEAD

    on(database_url, check)


def test_migrated_and_created_tables_are_the_same_in_every_word(place: Place, empty_place: Place) -> None:
    on(empty_place.url, metadata.create_all)
    assert empty_place.schema() == place.schema()
    assert len(place.schema()) > 3


def test_migrating_again_changes_nothing(place: Place) -> None:
    place.execute(NEW_DOCUMENT)
    before = place.dump()
    migrate(place.url)
    assert place.dump() == before
    assert any("'a'" in line or ",a," in line for line in before)


def test_a_database_of_the_first_version_keeps_what_it_has(
    place: Place, empty_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "HEAD", "0001")
        migrate(empty_place.url)
    empty_place.execute(
        NEW_DOCUMENT,
        "INSERT INTO updates (document_id, seq, client_ids, payload, first_received_at_ms, last_received_at_ms,"
        " checksum) VALUES (1, 1, '', '', 0, 0, '')",
    )
    migrate(empty_place.url)
    assert empty_place.schema() == place.schema()
    assert [table for table in ("documents", "updates") if empty_place.count(table) != 1] == []


async def test_migrating_needs_no_event_loop_and_minds_none(empty_place: Place) -> None:
    migrate(empty_place.url)
    await anyio.to_thread.run_sync(migrate, empty_place.url)


def test_a_path_that_does_not_exist_is_made(tmp_path: Path) -> None:
    path = tmp_path / "100% new" / "a?b#c" / "costudio.db"
    migrate(str(path))
    assert path.exists()


def test_processes_that_start_at_once_migrate_once(empty_place: Place, place: Place) -> None:
    script = "import sys; from crdt_store.migrations import migrate; migrate(sys.argv[1])"
    with ThreadPoolExecutor() as threads:
        outcomes = list(
            threads.map(
                lambda _: (
                    subprocess.run([sys.executable, "-c", script, empty_place.url], cwd=ROOT).returncode
                ),
                range(4),
            )
        )
    assert outcomes == [0] * 4
    assert empty_place.dump() == place.dump()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alembic_version SET version_num = '9999'",
        "INSERT INTO alembic_version VALUES ('9999')",
        "DELETE FROM alembic_version",
        "DROP TABLE alembic_version",
    ],
)
def test_a_database_of_an_unknown_version_is_left_as_it_is(place: Place, change: str) -> None:
    place.execute(NEW_DOCUMENT, change)
    before = place.dump()
    with pytest.raises(UnknownSchema):
        migrate(place.url)
    assert place.dump() == before


def test_the_tables_of_another_program_are_left_alone(empty_place: Place) -> None:
    empty_place.execute("CREATE TABLE songs (id INTEGER)")
    with pytest.raises(UnknownSchema, match="songs"):
        migrate(empty_place.url)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"These are my notes. " * 100)
    with pytest.raises(LogUnavailable, match="not a database"):
        migrate(str(path))
    assert path.read_bytes() == b"These are my notes. " * 100


def test_a_migration_that_fails_leaves_nothing_behind(
    empty_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(empty_place.url, lambda connection: None)
    before = empty_place.dump()
    upgrade = migrations._upgrade

    def upgrade_and_fail(connection: Connection, version: str | None) -> None:
        upgrade(connection, version)
        raise ZeroDivisionError

    monkeypatch.setattr(migrations, "_upgrade", upgrade_and_fail)
    with pytest.raises(ZeroDivisionError):
        migrate(empty_place.url)
    monkeypatch.undo()
    assert empty_place.dump() == before
    migrate(empty_place.url)
    assert empty_place.dump() != before


@pytest.mark.parametrize("changed", ["compacted_seq = 1", "deleted = true", "epoch = 2"])
def test_nothing_is_downgraded_that_the_older_tables_cannot_keep(place: Place, changed: str) -> None:
    def downgrade(connection: Connection) -> None:
        command.downgrade(alembic_config(connection), "0001")

    place.execute(NEW_DOCUMENT, f"UPDATE documents SET {changed}")
    before = place.dump()
    with pytest.raises(RuntimeError, match="1 documents are compacted, deleted or in a later epoch"):
        on(place.url, downgrade)
    assert place.dump() == before


@pytest.mark.parametrize(
    ("table", "insert"),
    [
        ("projects", "INSERT INTO projects (name, created_at, created_by) VALUES ('p', '2026-01-01', 1)"),
        ("memberships", "INSERT INTO memberships VALUES ('chat:1', 1, 0, 1, '2026-01-01')"),
        (
            "revocations",
            "INSERT INTO revocations (user_id, before_ms, revoked_by, revoked_at_ms) VALUES (1, 0, 1, 0)",
        ),
    ],
)
def test_no_room_and_no_token_is_opened_by_a_downgrade(place: Place, table: str, insert: str) -> None:
    def downgrade(connection: Connection) -> None:
        command.downgrade(alembic_config(connection), "0002")

    place.execute(
        "INSERT INTO users (issuer, subject, name, created_at) VALUES ('i', 's', 'Ada', '2026-01-01')", insert
    )
    before = place.dump()
    with pytest.raises(RuntimeError, match=f"there are 1 {table}"):
        on(place.url, downgrade)
    assert place.dump() == before


@pytest.mark.parametrize(
    ("table", "insert"),
    [
        (
            "messages",
            "INSERT INTO messages (chat_id, seq, uuid, sender_id, body, sent_at, server_time_ms, mentions)"
            " VALUES (1, 1, 'u', 1, 'hello', '', 0, '[]')",
        ),
        ("receipts", "INSERT INTO receipts VALUES (1, 1, 1, 1, 0)"),
    ],
)
def test_neither_messages_nor_who_read_them_are_forgotten_by_a_downgrade(
    place: Place, table: str, insert: str
) -> None:
    def downgrade(connection: Connection) -> None:
        command.downgrade(alembic_config(connection), "0003")

    place.execute(
        "INSERT INTO users (issuer, subject, name, created_at) VALUES ('i', 's', 'Ada', '2026-01-01')"
    )
    place.execute(insert)
    before = place.dump()
    with pytest.raises(RuntimeError, match=f"there are 1 {table}"):
        on(place.url, downgrade)
    assert place.dump() == before


def test_the_command_line_sees_no_difference(place: Place, empty_place: Place) -> None:
    def alembic(*arguments: str, place: Place) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": place.url},
            capture_output=True,
            text=True,
        )

    checked = alembic("check", place=place)
    assert "No new upgrade operations detected" in checked.stdout, checked.stderr
    made = alembic("upgrade", "head", place=empty_place)
    assert made.returncode == 0, made.stderr
    assert empty_place.dump() == place.dump()
    unmade = alembic("downgrade", "base", place=empty_place)
    assert unmade.returncode == 0, unmade.stderr
