"""`costudio verify`, `costudio compact` and `costudio gc`."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import anyio
import anyio.to_thread
import typer

from crdt_store.backing_up import Report
from crdt_store.compaction import CondenseFailed, compact
from crdt_store.engine import database_path, postgres_dsn
from crdt_store.long_transactions import read_at_length, write_at_length
from crdt_store.migrations import require_current
from crdt_store.sql import SqlUpdateLog
from crdt_store.thinning import Thinned, count_due
from crdt_store.update_log import DocumentDamaged
from crdt_store.upkeep import count_spent, remove_spent, shrink
from server.command_settings import DataDir, fail, read_settings
from server.history.retention import retention_policy, thin_history
from server.operator.access import (
    REFUSALS,
    be_quiet,
    condensing,
    database_url,
    now_ms,
    opened,
    sole_process,
)
from server.operator.documents import chosen_documents
from server.operator.errors import Refused
from server.operator.progress import progress
from server.operator.verifying import Finding, Verified, verify_document, verify_tables
from server.settings import MiB, Settings

FOUND_SOMETHING = 1
"""Exit code: it is done, and not all is well."""

_DAY_MS = 24 * 3600 * 1000

Rooms = Annotated[list[str] | None, typer.Argument(metavar="[ROOM]...", help="Such as workspace:1/notes.md.")]
All = Annotated[bool, typer.Option("--all", help="Every document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what there is to do, and do nothing.")]


def verify(
    rooms: Rooms = None,
    all_: All = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    memory_mib: Annotated[int, typer.Option(help="What loading a document may take.", min=256)] = 4096,
    data_dir: DataDir = None,
) -> None:
    """Read every stored row, and load every document in a process of its own; nothing is changed. Servers go on.

    With --all also whatever is no document's. What cannot be read or loaded is listed; then the exit code is 1.
    """
    be_quiet()
    settings = read_settings(data_dir=data_dir)
    try:
        with progress() as report:
            chosen = _chosen(rooms, all_=all_)
            verified = anyio.run(_verify, settings, chosen, report, memory_mib * MiB)
    except REFUSALS as error:
        fail(str(error))
    _tell(verified, as_json=as_json)
    if any(each.findings for each in verified.values()):
        raise typer.Exit(FOUND_SOMETHING)


def compact_documents(
    rooms: Rooms = None, all_: All = False, dry_run: DryRun = False, data_dir: DataDir = None
) -> None:
    """Make new snapshots, so that documents open quickly; servers do so by themselves (docs/documents.md).

    With SQLite the server must be stopped.
    """
    be_quiet()
    settings = read_settings(data_dir=data_dir)
    try:
        with sole_process(settings), progress() as report:
            chosen = _chosen(rooms, all_=all_)
            covered, failed = anyio.run(_compact, settings, chosen, report, dry_run)
    except REFUSALS as error:
        fail(str(error))
    verb = "to move" if dry_run else "moved"
    typer.echo(f"{len(covered)} documents, {sum(covered.values())} rows {verb} to the history")
    for name, why in failed.items():
        typer.echo(f"costudio: {name}: {why}", err=True)
    if failed:
        raise typer.Exit(FOUND_SOMETHING)


def gc(
    older_than_days: Annotated[
        int | None,
        typer.Option(
            help="Remove also what is older and was there to be looked at: entries of quarantine that no row"
            " needs, stale updates, dead jobs, archived notifications.",
            min=1,
        ),
    ] = None,
    dry_run: DryRun = False,
    data_dir: DataDir = None,
) -> None:
    """Remove what nobody needs any more, thin old history, and give back its room.

    With SQLite the server must be stopped.
    """
    be_quiet()
    settings = read_settings(data_dir=data_dir)
    now = now_ms()
    before = None if older_than_days is None else now - older_than_days * _DAY_MS
    try:
        url = database_url(settings)
        read_at_length(url, require_current)
        if dry_run:
            spent = read_at_length(url, partial(count_spent, now_ms=now, before_ms=before))
            old_ms = now - retention_policy(settings).full_ms
            records = read_at_length(url, partial(count_due, before_ms=old_ms))
        else:
            with sole_process(settings):
                spent = write_at_length(url, partial(remove_spent, now_ms=now, before_ms=before))
                records = anyio.run(_thin, settings, now).records
                if postgres_dsn(url) is None:  # PostgreSQL's autovacuum does it by itself
                    typer.echo("{} bytes became {}".format(*shrink(database_path(url))))
    except REFUSALS as error:
        fail(str(error))
    for kind, rows in spent.items():
        typer.echo(f"{rows} {kind}")
    typer.echo(f"{records} records of the history {'to look at' if dry_run else 'thinned'}")


async def _thin(settings: Settings, now: int) -> Thinned:
    async with opened(settings) as database:
        return await thin_history(database, retention_policy(settings), now)


def _chosen(rooms: Sequence[str] | None, *, all_: bool) -> Sequence[str]:
    """None, if it is all of them. Raises Refused."""
    if bool(rooms) == all_:
        raise Refused("name rooms, or say --all")
    return rooms or ()


async def _verify(
    settings: Settings, rooms: Sequence[str], report: Report, memory_bytes: int
) -> dict[str | None, Verified]:
    """By document; None: of all that is no document's."""
    verified: dict[str | None, Verified] = {}
    async with opened(settings) as database, condensing(settings, memory_bytes=memory_bytes) as condenser:
        names = await chosen_documents(SqlUpdateLog(database), settings, rooms)
        for nth, name in enumerate(names):
            verified[name] = await verify_document(database, condenser.condense, name)
            report("documents", nth + 1, len(names))
    if not rooms:
        report("tables", 0, None)
        verified[None] = await anyio.to_thread.run_sync(verify_tables, database_url(settings))
    return verified


def _tell(verified: dict[str | None, Verified], *, as_json: bool) -> None:
    findings: list[Finding] = [finding for each in verified.values() for finding in each.findings]
    sums = {
        "documents": sum(name is not None for name in verified),
        "rows": sum(each.rows for each in verified.values()),
        "updates": sum(each.updates for each in verified.values()),
        "quarantined": sum(each.put_aside for each in verified.values()),
    }
    if as_json:
        typer.echo(json.dumps(sums | {"findings": [finding._asdict() for finding in findings]}, indent=2))
        return
    for finding in findings:
        typer.echo(str(finding))
    said = ", ".join(f"{count} {name}" for name, count in sums.items())
    typer.echo(f"{said}: {len(findings) or 'nothing'} wrong")


async def _compact(
    settings: Settings, rooms: Sequence[str], report: Report, rehearses: bool
) -> tuple[dict[str, int], dict[str, str]]:
    """Of each document how many rows were moved, or are to be; of those that failed, why."""
    covered: dict[str, int] = {}
    failed: dict[str, str] = {}
    async with opened(settings) as database, condensing(settings) as condenser:
        log = SqlUpdateLog(database)
        names = await chosen_documents(log, settings, rooms)
        for nth, name in enumerate(names):
            head = await log.head(name)
            try:
                while not rehearses and await compact(log, condenser.condense, name) is not None:
                    pass
                reached = head.last_seq if rehearses else (await log.head(name)).compacted_seq
                covered[name] = reached - head.compacted_seq
            except (DocumentDamaged, CondenseFailed) as error:
                failed[name] = str(error)
            report("documents", nth + 1, len(names))
    return {name: rows for name, rows in covered.items() if rows}, failed
