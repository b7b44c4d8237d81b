"""A new epoch for every document of a backup that is restored.

Clients may hold edits that are younger than the backup. Under new client ids the documents share no name with what
those hold, so that it is kept aside when they come back (docs/documents.md), not merged into what is written then.
"""

import asyncio
from collections.abc import Callable, Collection

from crdt_store.compaction import Condense, CondenseFailed, compact
from crdt_store.database import Database
from crdt_store.gathering import gather
from crdt_store.held_edits import HeldEdits
from crdt_store.sql import SqlUpdateLog
from crdt_store.stale_updates import StaleUpdates
from crdt_store.update_log import DocumentDamaged, Row, Update, UpdateLog
from server.operator.documents import all_documents
from server.protocol.merge_updates import merge_updates
from server.protocol.rename_clients import clients_of, new_names, rename_clients
from server.protocol.update_shape import check_update
from server.rooms.names import BadRoomName, RoomKind, parse_room_name

_NO_LIMIT = 2**62  # they were within limits where they were


async def renew_epochs(
    database: Database,
    condense: Condense,
    *,
    now_ms: int,
    random_client_id: Callable[[], int],
    on_document: Callable[[], None],
) -> dict[str, str]:
    """Begin a new epoch of every document; those that stay as they are, and why. Raises LogUnavailable."""
    log = SqlUpdateLog(database)
    failed: dict[str, str] = {}
    async for name in all_documents(log):
        if not _is_closed_segment(name):  # which nobody writes in
            try:
                await _renew(log, condense, name, now_ms, random_client_id)
                await _put_held_aside(database, name)
            except (DocumentDamaged, CondenseFailed) as error:
                failed[name] = str(error)
        on_document()
    return failed


async def _renew(
    log: UpdateLog, condense: Condense, name: str, now_ms: int, random_client_id: Callable[[], int]
) -> None:
    while await compact(log, condense, name) is not None:
        pass
    gathered = await gather(log, name)
    if gathered.tail or gathered.snapshot is None:
        parts = (await condense(gathered.snapshot, gathered.tail)).updates
    else:
        parts = gathered.snapshot.updates
    head = gathered.head
    content, names = await asyncio.to_thread(_renamed, parts, head.retired.keys(), random_client_id)
    row = Row(name, None, (), (Update(content, now_ms),), head.epoch)
    await log.replace(row, names)


async def _put_held_aside(database: Database, name: str) -> None:
    """What others wrote while the document was locked belongs to the epoch that has ended."""
    held_edits = HeldEdits(database, max_bytes=_NO_LIMIT, max_bytes_per_user=_NO_LIMIT)
    stale_updates = StaleUpdates(database, max_bytes=_NO_LIMIT)
    held = await held_edits.of(name)
    for edit in held:
        await stale_updates.add(name, edit.author_id, edit.data, edit.received_at_ms)
    await held_edits.discard([edit.id for edit in held])


def _renamed(
    parts: tuple[bytes, ...], retired: Collection[int], random_client_id: Callable[[], int]
) -> tuple[bytes, dict[int, int | None]]:
    content = merge_updates(parts)
    clients = clients_of(check_update(content))
    names = new_names(clients, clients | set(retired), random_client_id)
    return rename_clients(content, names), dict(names)


def _is_closed_segment(name: str) -> bool:
    try:
        return parse_room_name(name, plain_names_workspace_id=None).kind is RoomKind.SEGMENT
    except BadRoomName:
        return False
