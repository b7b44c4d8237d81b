"""From the log to a document in memory."""

import asyncio
from dataclasses import dataclass, field

from crdt_store.update_log import UpdateLog
from server.engine.document import Document
from server.protocol.surrogates import SurrogateGuard


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """`authors`: client id -> the user it is bound to. `relayable`: ids whose edits others may bring (see gate)."""

    document: Document
    authors: dict[int, int] = field(default_factory=dict)
    relayable: set[int] = field(default_factory=set)


async def load_document(log: UpdateLog, name: str, guard: SurrogateGuard | None = None) -> LoadedDocument:
    """Replay snapshot and log; a document that was never written is empty.

    Raises LogUnavailable, DocumentDamaged, EngineFailure, MalformedUpdate: never an empty document instead.
    """
    updates: list[bytes] = []
    authors: dict[int, int] = {}
    snapshot = await log.snapshot(name)
    if snapshot is not None:
        updates.append(snapshot.data)
    async for stored in log.read(name, after=snapshot.seq if snapshot is not None else 0):
        updates.extend(update.data for update in stored.row.updates)
        if stored.row.author_id is not None:
            for client_id in stored.row.client_ids:
                authors.setdefault(client_id, stored.row.author_id)
    return LoadedDocument(await asyncio.to_thread(Document.load, updates, guard), authors)
