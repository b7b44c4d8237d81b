"""From the log to a document in memory."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from crdt_store.compaction import Compactor, put_aside
from crdt_store.gathering import Gathered, gather
from crdt_store.update_log import UpdateLog
from server.engine.document import Document
from server.engine.salvage import Fault, SnapshotUnusable, salvage
from server.protocol.surrogates import SurrogateGuard
from server.rooms.rules import DocumentRules

_NOTHING = b"\0"
"""The state vector of an empty replica."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """`authors`: client id -> the user it is bound to. `relayable`: ids whose edits others may bring (see gate).

    `stale_ids`: client ids of earlier epochs. `rules`: what the document may hold, if not everything.
    `is_recovering`: edits that were shown to members may be lost, and whoever has seen them brings them.
    """

    document: Document
    authors: dict[int, int] = field(default_factory=dict)
    relayable: set[int] = field(default_factory=set)
    epoch: int = 1
    stale_ids: frozenset[int] = frozenset()
    rules: DocumentRules | None = None
    is_recovering: bool = False


async def load_document(
    log: UpdateLog,
    name: str,
    guard: SurrogateGuard | None = None,
    *,
    compactor: Compactor | None = None,
    rules: DocumentRules | None = None,
) -> LoadedDocument:
    """Replay snapshot and log; a document that was never written is empty.

    Updates that cannot be applied are put in quarantine and left out. `compactor` is told what was read,
    new `rules` are shown it. Raises LogUnavailable, DocumentDamaged, MemoryError: never an empty document instead.
    """
    gathered = await gather(log, name)
    try:
        document, faults = await _build(gathered, guard)
    except SnapshotUnusable as error:
        logger.error("the snapshot of %s cannot be used, its history is replayed instead: %s", name, error)
        gathered = await gather(log, name, from_snapshot=False)
        document, faults = await _build(gathered, guard)
    await put_aside(log, name, gathered, faults)
    if compactor is not None:
        compactor.opened(name, gathered)
    head = gathered.head
    stale_ids = frozenset(head.retired.keys() - document.contents.state.keys())
    if rules is not None:
        await asyncio.to_thread(_show, document, rules)
    return LoadedDocument(document, gathered.authors(), epoch=head.epoch, stale_ids=stale_ids, rules=rules)


def _show(document: Document, rules: DocumentRules) -> None:
    rules.take_in(document.encode_since(_NOTHING))


async def _build(gathered: Gathered, guard: SurrogateGuard | None) -> tuple[Document, Sequence[Fault]]:
    return await asyncio.to_thread(salvage, gathered.tail, gathered.snapshot, guard)
