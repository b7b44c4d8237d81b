"""A database is brought to the tables of this code, or refused: never replaced by an empty one."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from crdt_store.engine import sqlite_engine
from crdt_store.migrations import HEAD, UnknownSchema, alembic_config, migrate
from crdt_store.tables import metadata
from crdt_store.update_log import LogUnavailable

ROOT = Path(__file__).parent.parent.parent


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    lines = list(connection.iterdump())
    connection.close()
    return lines


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_the_migrated_tables_are_those_of_the_code(path: Path) -> None:
    engine = sqlite_engine(path, begin="BEGIN")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert ScriptDirectory.from_config(alembic_config(connection)).get_current_head() == HEAD
    engine.dispose()


def test_migrated_and_created_tables_are_the_same_in_every_word(path: Path, tmp_path: Path) -> None:
    def words(path: Path) -> dict[str, list[str]]:
        engine = sqlite_engine(path, begin="BEGIN", create=True)
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
            schema = {name: sorted(sql.replace(",", " ").split()) for name, sql in found}
        engine.dispose()
        return {
            name: sql for name, sql in schema.items() if name not in ("alembic_version", "sqlite_sequence")
        }

    created = tmp_path / "created.db"
    engine = sqlite_engine(created, begin="BEGIN IMMEDIATE", create=True)
    metadata.create_all(engine)
    engine.dispose()
    assert words(created) == words(path)


def test_migrating_again_changes_nothing(path: Path) -> None:
    execute(path, "INSERT INTO documents (name, last_seq, created_at_ms) VALUES ('a', 0, 0)")
    before = dump(path)
    migrate(f"sqlite+aiosqlite:///{path}")
    assert dump(path) == before


def test_a_path_that_does_not_exist_is_made(tmp_path: Path) -> None:
    path = tmp_path / "100% new" / "a?b#c" / "costudio.db"
    migrate(str(path))
    assert path.exists()


def test_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "costudio.db"
    script = "import sys; from crdt_store.migrations import migrate; migrate(sys.argv[1])"
    with ThreadPoolExecutor() as threads:
        outcomes = list(
            threads.map(
                lambda _: subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT).returncode,
                range(4),
            )
        )
    assert outcomes == [0] * 4


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alembic_version SET version_num = '9999'",
        "INSERT INTO alembic_version VALUES ('9999')",
        "DELETE FROM alembic_version",
        "DROP TABLE alembic_version",
    ],
)
def test_a_database_of_an_unknown_version_is_left_as_it_is(path: Path, change: str) -> None:
    execute(path, "INSERT INTO documents (name, last_seq, created_at_ms) VALUES ('a', 0, 0)", change)
    before = dump(path)
    with pytest.raises(UnknownSchema):
        migrate(str(path))
    assert dump(path) == before


def test_the_tables_of_another_program_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    execute(path, "CREATE TABLE songs (id INTEGER)")
    with pytest.raises(UnknownSchema, match="songs"):
        migrate(str(path))


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"These are my notes. " * 100)
    with pytest.raises(LogUnavailable, match="not a database"):
        migrate(str(path))
    assert path.read_bytes() == b"These are my notes. " * 100


def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "costudio.db"
    monkeypatch.setattr("crdt_store.migrations.HEAD", "none such")
    with pytest.raises(Exception, match="none such"):
        migrate(str(path))
    monkeypatch.undo()
    assert not any("CREATE TABLE" in line for line in dump(path))
    migrate(str(path))


def test_the_command_line_sees_no_difference(path: Path, tmp_path: Path) -> None:
    def alembic(*arguments: str, database: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": f"sqlite+aiosqlite:///{database}"},
            capture_output=True,
            text=True,
        )

    checked = alembic("check", database=path)
    assert "No new upgrade operations detected" in checked.stdout, checked.stderr
    made = tmp_path / "made.db"
    assert alembic("upgrade", "head", database=made).returncode == 0
    assert dump(made) == dump(path)
    assert alembic("downgrade", "base", database=made).returncode == 0
