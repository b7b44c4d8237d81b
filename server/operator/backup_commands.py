"""`costudio backup` and `costudio restore`."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer

from crdt_store.backing_up import Report, counted, write_backup
from crdt_store.backup_file import Manifest, check_backup, read_manifest
from crdt_store.engine import create_engine, postgres_dsn
from crdt_store.long_transactions import read_at_length
from crdt_store.migrations import database_version
from crdt_store.restoring import make_ready, put_in_place, refuse_unless_empty, skip_ids, stage
from server.command_settings import DataDir, fail, read_settings
from server.operator.access import (
    REFUSALS,
    be_quiet,
    condensing,
    database_url,
    now_ms,
    opened,
    refuse_if_served,
    sole_process,
)
from server.operator.progress import progress
from server.operator.renewal import renew_epochs
from server.settings import Settings

_MAX_NAMED = 20
_DONE_IN_PART = 1

BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(file: BackupFile, data_dir: DataDir = None) -> None:
    """Write all that is in the database to a new FILE, while the server runs: one moment of it, checked and on disk.

    It holds everything but the secret that signs tokens, and what runs: keep it as safe as the database.
    """
    be_quiet()
    settings = read_settings(data_dir=data_dir)
    try:
        with progress() as report:
            manifest = write_backup(database_url(settings), file, now_ms(), report)
    except REFUSALS as error:
        fail(str(error))
    typer.echo(f"{file}: {_described(manifest)}, {file.stat().st_size} bytes")


def restore(
    file: BackupFile,
    data_dir: DataDir = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Whatever the database has is lost, and the backup takes its place."),
    ] = False,
    same_epoch: Annotated[
        bool,
        typer.Option(
            "--same-epoch",
            help="A move: nothing was written after the backup, or clients are to bring back what was.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the backup, and do nothing else.")
    ] = False,
) -> None:
    """Put a backup into an empty database, of SQLite or PostgreSQL, wherever it came from. No server may run on it.

    The backup is checked first, and the database has all of it or nothing. Every document begins a new epoch: what
    clients still have of a later time is kept aside, not merged.
    """
    be_quiet()
    settings = read_settings(data_dir=data_dir)
    try:
        with progress() as report:
            if dry_run:
                manifest = check_backup(file, counted("check", report, read_manifest(file).rows))
                left: Mapping[str, str] = {}
            else:
                with sole_process(settings):
                    manifest, left = _restore(file, settings, report, force=force, same_epoch=same_epoch)
    except REFUSALS as error:
        fail(str(error))
    typer.echo(f"{file}: {_described(manifest)}, {'intact' if dry_run else 'restored'}")
    for name, why in list(left.items())[:_MAX_NAMED]:
        typer.echo(f"costudio: {name} begins no new epoch: {why}", err=True)
    if left:
        typer.echo(f"costudio: {len(left)} documents begin no new epoch", err=True)
        raise typer.Exit(_DONE_IN_PART)


def _restore(
    file: Path, settings: Settings, report: Report, *, force: bool, same_epoch: bool
) -> tuple[Manifest, Mapping[str, str]]:
    """What the backup has, and which documents begin no new epoch."""
    url = database_url(settings)
    if postgres_dsn(url) is not None and read_at_length(url, database_version) is not None:
        anyio.run(_refuse_if_served, settings)
    if not force:
        refuse_unless_empty(url)
    left: Mapping[str, str] = {}
    with stage(url) as staged:
        manifest = make_ready(file, staged, report)
        if not same_epoch:
            skip_ids(staged)
            left = anyio.run(partial(_renew, settings, staged, report))
        put_in_place(staged, url, report, replaces=force)
    return manifest, left


async def _refuse_if_served(settings: Settings) -> None:
    async with opened(settings) as database:
        await refuse_if_served(settings, database)


async def _renew(settings: Settings, staged: Path, report: Report) -> dict[str, str]:
    database = create_engine(str(staged))
    try:
        async with condensing(settings) as condenser:
            return await renew_epochs(
                database,
                condenser.condense,
                now_ms=now_ms(),
                random_client_id=partial(secrets.randbits, 32),
                on_document=partial(counted("new epochs", report), 1),
            )
    finally:
        await database.close()


def _described(manifest: Manifest) -> str:
    made_at = datetime.fromtimestamp(manifest.made_at_ms // 1000, UTC)
    return f"{manifest.rows} rows in {len(manifest.tables)} tables as of {made_at:%Y-%m-%d %H:%M:%S} UTC"
