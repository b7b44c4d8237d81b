"""A backup holds all of one moment, of either kind of database, and what is restored is that."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from alembic import command
from crdt_store.backing_up import write_backup
from crdt_store.backup_file import BackupDamaged, check_backup, seal
from crdt_store.engine import create_engine
from crdt_store.long_transactions import read_at_length
from crdt_store.messages import Messages
from crdt_store.migrations import HEAD, UnknownSchema, alembic_config
from crdt_store.restoring import NotEmpty, make_ready, put_in_place, refuse_unless_empty, skip_ids, stage
from crdt_store.row_ids import last_ids
from crdt_store.sqlite import sqlite_engine
from crdt_store.update_log import LogUnavailable
from crdt_store.users import UserDirectory
from tests.operator.studio import NOW_MS, everything

TRANSIENT = ("presence_nodes", "online_users", "tickets")


def ignore(*_: object) -> None: ...


def restore(backup: Path, url: str, *, replaces: bool = False) -> None:
    """A move: all is as it was."""
    with stage(url) as staged:
        make_ready(backup, staged, ignore)
        put_in_place(staged, url, ignore, replaces=replaces)


def without_connections(found: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Nobody is online after a restore."""
    users = [tuple(False if value is True else value for value in row) for row in found["users"]]
    return {name: rows for name, rows in found.items() if name not in TRANSIENT} | {"users": users}


@pytest.mark.parametrize("target_fixture", ["new_sqlite_url", "empty_postgres_url"])
async def test_what_was_backed_up_is_restored_whatever_kind_of_database_it_came_from(
    studio_url: str, target_fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source, backup = everything(studio_url), tmp_path / "backup"
    target = str(request.getfixturevalue(target_fixture))
    ids = read_at_length(studio_url, last_ids)
    manifest = write_backup(studio_url, backup, NOW_MS, ignore)
    assert (manifest.schema, manifest.made_at_ms) == (HEAD, NOW_MS)
    assert check_backup(backup, ignore) == manifest

    restore(backup, target)
    restored = everything(target)
    assert set(TRANSIENT) <= source.keys()
    assert restored == without_connections(source)
    assert read_at_length(target, last_ids) == ids
    assert ids["documents"] > len(source["documents"]) - 1
    database = create_engine(target)
    assert len(await Messages(database).search("deja", None, limit=10)) == 5
    assert await UserDirectory(database).id_of("i", "carol", "Carol") == ids["users"] + 1
    await database.close()


async def test_a_backup_is_written_once_and_for_its_owner_alone(studio_url: str, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    write_backup(studio_url, backup, NOW_MS, ignore)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    before = backup.read_bytes()
    with pytest.raises(FileExistsError, match="never overwritten"):
        write_backup(studio_url, backup, NOW_MS, ignore)
    assert backup.read_bytes() == before


def test_what_is_no_database_of_ours_gives_no_backup_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match=r"new\.db"):
        write_backup(f"sqlite:///{tmp_path}/new.db", tmp_path / "backup", NOW_MS, ignore)
    (tmp_path / "empty.db").touch()
    with pytest.raises(UnknownSchema, match="no tables"):
        write_backup(f"sqlite:///{tmp_path}/empty.db", tmp_path / "backup", NOW_MS, ignore)
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == []


def test_a_backup_that_is_interrupted_leaves_no_file(studio_file: Path, tmp_path: Path) -> None:
    def interrupt(doing: str, *_: object) -> None:
        if doing == "check":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_backup(str(studio_file), tmp_path / "backup", NOW_MS, interrupt)
    assert list(tmp_path.iterdir()) == []


def execute(*statements: str) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return harm


def overwrite(place: int, data: bytes) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(data)

    return harm


def flip_a_bit_of(text: bytes) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data.replace(text, bytes([text[0] ^ 1]) + text[1:]))

    return harm


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (execute("UPDATE updates SET author_id = NULL"), "table updates: its .* rows are not"),
        (execute("DELETE FROM messages WHERE id = 3"), "table messages: 4 rows, not 5"),
        (execute("DROP TABLE jobs"), "table jobs: missing"),
        (execute("CREATE TABLE more (id)"), "table more: was not in it"),
        (execute("UPDATE backup SET manifest = replace(manifest, 'made', 'mode')"), "says of itself"),
        (execute("DELETE FROM backup"), "says of itself"),
        (execute("DROP TABLE backup"), "no backup"),
        (flip_a_bit_of("hello déjà 3".encode()), "table messages"),
        (flip_a_bit_of(b"after the snapshot"), "table updates"),
        (flip_a_bit_of(b"workspace:1/plan.md"), "table documents"),
        (overwrite(0, b"x"), "not a database"),
        (lambda path: os.truncate(path, path.stat().st_size // 2), "damaged|malformed"),
        (lambda path: os.truncate(path, 0), "no backup"),
        (lambda path: path.unlink(), "unable to open"),
    ],
)  # fmt: skip
def test_a_damaged_backup_is_refused_and_what_is_damaged_named(
    backup: Path, harm: Callable[[Path], object], named: str, tmp_path: Path
) -> None:
    harm(backup)
    url = f"sqlite:///{tmp_path}/new/new.db"
    with pytest.raises((BackupDamaged, FileNotFoundError), match=named):
        restore(backup, url)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_bit_flipped_anywhere_in_a_page_of_rows_or_of_an_index_is_noticed(backup: Path) -> None:
    whole = backup.read_bytes()
    with closing(sqlite3.connect(backup)) as connection:
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        roots = connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0").fetchall()
    unnoticed = []
    for name, root in roots:
        place = root * page_bytes - 3  # rows begin at the end of a page
        if name == "backup" or not any(whole[place - 1 : place + 2]):
            continue
        overwrite(place, bytes([whole[place] ^ 4]))(backup)
        try:
            check_backup(backup, ignore)
        except BackupDamaged:
            pass
        else:
            unnoticed.append(name)
        overwrite(place, whole[place : place + 1])(backup)
    check_backup(backup, ignore)
    assert unnoticed == []


def test_a_backup_of_an_older_version_is_migrated_and_one_of_a_newer_refused(tmp_path: Path) -> None:
    old = tmp_path / "old"
    engine = sqlite_engine(old, begin="BEGIN IMMEDIATE", create=True)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0003")
    engine.dispose()
    execute("INSERT INTO users (issuer, subject, name, created_at) VALUES ('i', 'ada', 'Ada', '2026-01-01')")(
        old
    )
    manifest = seal(old, NOW_MS, ignore)
    assert manifest.schema == "0003"
    restore(old, url := f"sqlite:///{tmp_path}/new.db")
    assert [row[2] for row in everything(url)["users"]] == ["ada"]

    new = tmp_path / "new.db"
    execute("UPDATE alembic_version SET version_num = '9999'")(new)
    seal(new, NOW_MS, ignore)
    with pytest.raises(UnknownSchema, match="9999"):
        restore(new, f"sqlite:///{tmp_path}/none.db")


async def test_what_is_in_a_database_is_replaced_only_by_force(backup: Path, database_url: str) -> None:
    database = create_engine(database_url)
    zoe = await UserDirectory(database).id_of("i", "zoe", "Zoe")
    await database.close()
    before = everything(database_url)
    with pytest.raises(NotEmpty, match="users"):
        refuse_unless_empty(database_url)
    with pytest.raises(NotEmpty, match="users"):
        restore(backup, database_url)
    assert everything(database_url) == before
    restore(backup, database_url, replaces=True)
    after = everything(database_url)
    assert zoe == 1
    assert [row[2] for row in after["users"]] == ["ada", "bob"]


async def test_a_database_that_somebody_has_open_is_not_replaced(backup: Path, sqlite_url: str) -> None:
    before = everything(sqlite_url)
    database = create_engine(sqlite_url)
    await UserDirectory(database).find(1)
    with pytest.raises(LogUnavailable, match="is a server running"):
        restore(backup, sqlite_url, replaces=True)
    await database.close()
    assert everything(sqlite_url) == before


def test_a_database_that_is_damaged_is_replaced_by_force(backup: Path, studio_file: Path, path: Path) -> None:
    path.with_name("costudio.db-wal").write_bytes(b"left by a server that was killed")
    overwrite(0, b"x" * 100)(path)
    with pytest.raises(LogUnavailable):
        restore(backup, str(path))
    restore(backup, str(path), replaces=True)
    assert everything(str(path)) == without_connections(everything(str(studio_file)))


def test_no_id_is_given_again_that_may_have_been_given_after_the_backup(backup: Path, tmp_path: Path) -> None:
    staged = tmp_path / "staged.db"
    make_ready(backup, staged, ignore)
    before, (head,) = read_at_length(str(staged), last_ids), everything(str(staged))["room_heads"]
    skip_ids(staged)
    after, (new_head,) = read_at_length(str(staged), last_ids), everything(str(staged))["room_heads"]
    assert {last - before[table] for table, last in after.items()} == {100_000}
    assert new_head[1] - head[1] == 100_000
