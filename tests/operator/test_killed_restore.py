"""kill -9 at any step of a restore: the database is as it was, or has all of the backup."""

import signal
import subprocess
import sys
from pathlib import Path

import anyio

from crdt_store.backing_up import write_backup
from crdt_store.engine import create_engine, postgres_dsn
from crdt_store.users import UserDirectory
from tests.operator.studio import NOW_MS, everything
from tests.operator.test_backups import restore, without_connections

ROOT = Path(__file__).parent.parent.parent


def restore_until(step: int, backup: Path, url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.operator.restore_child", str(backup), url, str(step)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


async def _write_something(url: str) -> None:
    database = create_engine(url)
    await UserDirectory(database).id_of("i", "zoe", "Zoe")
    await database.close()


def test_a_killed_restore_leaves_all_or_nothing(
    backup: Path, studio_file: Path, database_url: str, tmp_path: Path
) -> None:
    anyio.run(_write_something, database_url)
    write_backup(database_url, tmp_path / "old", NOW_MS, lambda *_: None)
    old, new = everything(database_url), without_connections(everything(str(studio_file)))
    whole = restore_until(10_000, backup, database_url)
    assert whole.returncode == 0, whole.stderr
    steps = int(whole.stdout)
    is_postgres = postgres_dsn(database_url) is not None
    last_of_old = steps - 2 if is_postgres else steps - 3  # a commit, or a rename
    for step in (last_of_old, last_of_old + 1):
        restore(tmp_path / "old", database_url, replaces=True)
        assert everything(database_url) == old
        killed = restore_until(step, backup, database_url)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert everything(database_url) == (old if step <= last_of_old else new), step


def test_what_a_killed_restore_leaves_behind_goes_with_the_next_one(backup: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    killed = restore_until(5, backup, url)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "new.db").exists()
    assert list(tmp_path.glob(".restoring-*")) != []
    restore(backup, url)
    assert [path.name for path in tmp_path.glob("*new*")] == ["new.db"]
    assert list(tmp_path.glob(".restoring-*")) == []
