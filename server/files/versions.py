"""States of files as they were stored: the newest, and any before it that somebody has read.

They come from the log, never from a room: what a reader gets is saved, and the same after a restart. What is neither
at hand nor newer than the snapshot is replayed from the history.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crdt_store.compaction import put_aside
from crdt_store.gathering import Gathered, gather
from crdt_store.update_log import StoredRow, UpdateLog
from server.engine.document import Document
from server.engine.salvage import Fault, SnapshotUnusable, salvage
from server.files.version import Version, digest_of
from server.rooms.room_manager import NoSuchRoom

ROOT = "content"
"""Of a file's document: the Y.Text that the file is."""

_MAX_KEPT_BYTES = 64 * 2**20
_MAX_BUILT_AT_ONCE = 4
_FEW_ROWS = 64


class UnknownVersion(Exception):
    """The document has no such version, or is another one now."""


class WrittenBy(NamedTuple):
    """An update, who wrote it, the version that it ends, when it came, and in which run if by an agent."""

    data: bytes
    author_id: int | None
    version: Version
    received_at_ms: int
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class FileState:
    """A file at some version. `content`, `summary`: as of a snapshot; `text` is what its root says."""

    version: Version
    content: tuple[bytes, ...]
    summary: bytes
    text: str

    @classmethod
    def of(cls, version: Version, document: Document) -> "FileState":
        """Takes time by its size. Raises EngineFailure."""
        return cls(version, document.encoding(), document.summary(), document.text(ROOT))

    @property
    def updates(self) -> Sequence[bytes]:
        """As `server.engine.salvage.SnapshotLike`."""
        return self.content

    def with_updates(self, updates: Sequence[bytes]) -> Document:
        """It as a document, and these after it. Takes time by its size. Raises SnapshotUnusable, MemoryError."""
        return salvage(updates, self)[0]

    def after(self, written: Sequence[WrittenBy]) -> "FileState":
        """It with these updates, which are all that came next. Takes time by its size."""
        return FileState.of(written[-1].version, self.with_updates([each.data for each in written]))

    @property
    def size_bytes(self) -> int:
        """About what it takes."""
        return sum(map(len, self.content)) + 2 * len(self.text)


class Versions:
    """Of all files of a log. All raise LogUnavailable, DocumentDamaged, EngineFailure, MemoryError."""

    def __init__(self, log: UpdateLog) -> None:
        self._log = log
        self._kept: OrderedDict[tuple[str, Version], FileState] = OrderedDict()
        self._newest: dict[str, Version] = {}
        self._kept_bytes = 0
        self._building = asyncio.Semaphore(_MAX_BUILT_AT_ONCE)

    async def newest(self, name: str) -> FileState:
        """The file as it is stored now. Raises NoSuchRoom."""
        async with self._building:
            known = self._kept.get((name, self._newest.get(name, Version(0, 0))))
            if known is None:
                return await self._load(name)
            written = await self.written_since(name, known.version)
            if written is None:
                return await self._load(name)
            if not written:
                return self._keep(name, known)
            return self._keep(name, await asyncio.to_thread(known.after, written), is_newest=True)

    async def at(self, name: str, version: Version) -> FileState:
        """The file as it was then. Raises NoSuchRoom, UnknownVersion."""
        newest = await self.newest(name)
        if newest.version == version:
            return newest
        if (name, version) in self._kept:
            return self._keep(name, self._kept[name, version])
        if version.epoch != newest.version.epoch or version.seq > newest.version.seq:
            raise UnknownVersion(f"{name} has no version {version}")
        async with self._building:
            return self._keep(name, await self._replay(name, version))

    async def written_since(self, name: str, version: Version) -> list[WrittenBy] | None:
        """What was written after it, in order; None if the document is another one now, or gone."""
        written: list[WrittenBy] = []
        is_found = not version.last
        after = version.seq - 1 if version.last else version.seq
        async for stored in self._log.read(name, after=max(after, 0)):
            if stored.row.epoch != version.epoch:
                return None
            for each in updates_of(stored):
                if is_found:
                    written.append(each)
                elif each.version.last == version.last:
                    is_found = True
            if not is_found:
                return None
        return written if is_found and await self._log.exists(name) else None

    async def as_of(self, name: str, at_ms: int) -> Version | None:
        """The version that the file had at that time, ms since 1970; None: there was nothing of it."""
        async for written, is_whole in self.backwards(name):
            before = [each.version for each in written if each.received_at_ms <= at_ms]
            if before or is_whole:
                return before[-1] if before else None
        return None

    async def backwards(self, name: str) -> AsyncIterator[tuple[list[WrittenBy], bool]]:
        """What was written last, in order, again and again with more before it; whether it is all of this epoch."""
        head, rows = await self._log.head(name), _FEW_ROWS
        while True:
            after = max(head.last_seq - rows, 0)
            stored = [
                each async for each in self._log.read(name, after=after) if each.row.epoch == head.epoch
            ]
            yield await asyncio.to_thread(_updates_of_all, stored), after == 0
            if after == 0:
                return
            rows *= 4

    def keep(self, name: str, state: FileState) -> None:
        """Have it at hand for a while."""
        self._keep(name, state)

    async def _load(self, name: str) -> FileState:
        if not await self._log.exists(name):
            self._newest.pop(name, None)
            raise NoSuchRoom(f"no room {name}")
        gathered = await gather(self._log, name)
        try:
            document, faults = await asyncio.to_thread(salvage, gathered.tail, gathered.snapshot)
        except SnapshotUnusable:
            gathered = await gather(self._log, name, from_snapshot=False)
            document, faults = await asyncio.to_thread(salvage, gathered.tail)
        await put_aside(self._log, name, gathered, faults)
        version = await self._version_of(name, gathered, faults)
        return self._keep(name, await asyncio.to_thread(FileState.of, version, document), is_newest=True)

    async def _version_of(self, name: str, gathered: Gathered, faults: Sequence[Fault]) -> Version:
        """Named by its last row, which the snapshot may stand for."""
        epoch, rows = gathered.head.epoch, gathered.rows
        if not rows and not faults:
            rows = [stored async for stored in self._log.read(name, after=max(gathered.reached - 1, 0))]
        if not rows or faults or rows[-1].row.epoch != epoch:
            return Version(epoch, gathered.reached)
        return updates_of(rows[-1])[-1].version

    async def _replay(self, name: str, version: Version) -> FileState:
        head = await self._log.head(name)
        snapshot = head.snapshot if head.snapshot is not None and head.snapshot.seq < version.seq else None
        updates: list[bytes] = []
        async for stored in self._log.read(name, after=0 if snapshot is None else snapshot.seq):
            if stored.row.epoch != version.epoch:
                break
            if stored.seq < version.seq:
                updates += [update.data for update in stored.row.updates]
                continue
            found = _up_to(stored, version)
            if found is None:
                break
            document, _ = await asyncio.to_thread(salvage, [*updates, *found], snapshot)
            return await asyncio.to_thread(FileState.of, version, document)
        raise UnknownVersion(f"{name} has no version {version}")

    def _keep(self, name: str, state: FileState, *, is_newest: bool = False) -> FileState:
        key = name, state.version
        if key not in self._kept:
            self._kept[key] = state
            self._kept_bytes += state.size_bytes
        self._kept.move_to_end(key)
        if is_newest:
            self._newest[name] = state.version
        while self._kept_bytes > _MAX_KEPT_BYTES and len(self._kept) > 1:
            (old_name, old_version), old = self._kept.popitem(last=False)
            self._kept_bytes -= old.size_bytes
            if self._newest.get(old_name) == old_version:
                del self._newest[old_name]
        return state


def updates_of(stored: StoredRow) -> list[WrittenBy]:
    """What a row of the log holds."""
    row = stored.row
    return [
        WrittenBy(
            update.data,
            row.author_id,
            Version(row.epoch, stored.seq, digest_of(update.data)),
            update.received_at_ms,
            row.run_id,
        )
        for update in row.updates
    ]


def _updates_of_all(stored: Sequence[StoredRow]) -> list[WrittenBy]:
    return [update for each in stored for update in updates_of(each)]


def _up_to(stored: StoredRow, version: Version) -> list[bytes] | None:
    """The row's updates up to the one that ends the version; None if it does not have that."""
    updates = [update.data for update in stored.row.updates]
    if not version.last:
        return updates if stored.seq == version.seq else None
    for index, update in enumerate(updates):
        if digest_of(update) == version.last:
            return updates[: index + 1]
    return None
