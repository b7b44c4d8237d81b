"""A document as it is stored, loaded in a process of its own; nothing is put in quarantine."""

from functools import partial
from typing import NamedTuple

from crdt_store.compaction import Condense, Condensed, CondenseFailed, SnapshotRefused
from crdt_store.database import Database
from crdt_store.inspection import inspect_document
from crdt_store.sql import SqlUpdateLog
from server.engine.document import Document
from server.files.version import Version
from server.files.versions import ROOT, FileState
from server.operator.errors import Refused
from server.protocol.merge_updates import merge_updates


class Loaded(NamedTuple):
    """`updates`, `summary`: as of a snapshot. `missing`: what could not be read or loaded, one line for each."""

    epoch: int
    last_seq: int
    updates: tuple[bytes, ...]
    summary: bytes
    missing: tuple[str, ...]

    def update(self) -> bytes:
        """All of it as one Yjs update. Takes time by its size."""
        return merge_updates(self.updates)

    def text(self) -> str:
        """What a file says. Takes time by its size. Raises EngineFailure."""
        return Document.of_snapshot(self.updates, self.summary).text(ROOT)

    def as_file(self) -> FileState:
        """To be edited. Takes time by its size. Raises EngineFailure."""
        return FileState(Version(self.epoch, self.last_seq), self.updates, self.summary, self.text())


async def load(database: Database, condense: Condense, name: str) -> Loaded | None:
    """None if there is no such document. Raises LogUnavailable, Refused: it cannot be loaded at all."""
    log = SqlUpdateLog(database)
    if not await log.exists(name):
        return None
    head = await log.head(name)
    inspected = await database.read(partial(inspect_document, document=name))
    missing = [f"{what}: {error}" for what, error in inspected.damage]
    snapshot = max(inspected.snapshots, key=lambda each: each.seq, default=None)
    after = 0 if snapshot is None else snapshot.seq
    rows = inspected.rows
    tail = [update.data for stored in rows if stored.seq > after for update in stored.row.updates]
    everything = [update.data for stored in rows for update in stored.row.updates]
    try:
        try:
            condensed: Condensed = await condense(snapshot, tail)
        except SnapshotRefused as error:
            missing.append(str(error))
            condensed = await condense(None, everything)
    except CondenseFailed as error:
        raise Refused(f"{name} cannot be loaded: {error}") from error
    missing += [f"an update: {fault.error}" for fault in condensed.faults]
    return Loaded(head.epoch, head.last_seq, condensed.updates, condensed.summary, tuple(missing))
