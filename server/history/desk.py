"""The history of documents: asked of the log, worked out in the workshop, and turned back by ordinary edits."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from crdt_store.document_versions import DocumentVersions, NamedVersion
from crdt_store.group_commit import GroupCommit
from crdt_store.update_log import StoredRow, UpdateLog
from server.documents.absent_author import AbsentAuthor
from server.documents.service import KeptByRules, Locked, LockOn
from server.history.answers import (
    blame_at,
    comparison,
    restoration,
    reversal,
    reversal_of_run,
    text_of_moment,
)
from server.history.changes import Change, Changes
from server.history.entries import Entry, entries_of
from server.history.reading import Part, Piece
from server.history.states import update_at
from server.history.turning_back import turning_id
from server.history.workshop import Workshop
from server.rooms.names import RoomKind, RoomName
from server.rooms.room import RoomBusy
from server.rooms.room_manager import NoSuchRoom, RoomManager
from server.rooms.runs import Author

_FEW_ROWS = 500


class NoSuchVersion(Exception):
    """The document has no named version of this id."""


class Blamed(NamedTuple):
    """A text, piece by piece, and the changes that its pieces are of."""

    changes: Changes
    pieces: Sequence[Piece]


class Compared(NamedTuple):
    """Two moments of a text as one, part by part."""

    changes: Changes
    parts: Sequence[Part]


class History:
    """Every method raises LogUnavailable, DocumentDamaged, NoSuchRoom; those that work something out, TooMuchWork."""

    def __init__(
        self,
        log: UpdateLog,
        versions: DocumentVersions,
        workshop: Workshop,
        rooms: RoomManager,
        commits: GroupCommit,
        *,
        lock_on: LockOn,
        now_ms: Callable[[], int],
        random_client_id: Callable[[], int],
    ) -> None:
        self._log = log
        self._versions = versions
        self._workshop = workshop
        self._rooms = rooms
        self._commits = commits
        self._lock_on = lock_on
        self._now_ms = now_ms
        self._random_client_id = random_client_id

    # Reading

    async def entries(self, name: RoomName, *, before: int | None, limit: int) -> list[Entry]:
        """At most `limit` entries that end before the row `before`, newest first."""
        head = await self._log.head(name.canonical)
        end = head.last_seq if before is None else min(before - 1, head.last_seq)
        rows = _FEW_ROWS
        while True:
            after = max(end - rows, 0)
            stored = [row async for row in self._log.read(name.canonical, after=after)]
            changes = [each for each in _changes(stored, head.epoch) if each.seq <= end]
            entries = entries_of(changes)
            is_all = not after
            whole = entries if is_all else entries[1:]  # the first may have begun before
            if is_all or len(whole) >= limit:
                if not whole and before is None:
                    await self._must_exist(name)
                return whole[: -limit - 1 : -1]
            rows *= 4

    async def changes(self, name: RoomName) -> Changes:
        """All of the document as it is now."""
        head = await self._log.head(name.canonical)
        rows = [stored async for stored in self._log.read(name.canonical)]
        changes = _changes(rows, head.epoch)
        if not changes:
            await self._must_exist(name)
        authors = dict(head.authors)
        for change in changes:
            if change.author_id is not None:
                for client in change.client_ids:
                    authors.setdefault(client, change.author_id)
        return Changes(head.epoch, changes, authors)

    async def text(self, name: RoomName, at: str | None, root: str) -> str:
        """How the text under the root read. Raises BadMoment."""
        changes = await self.changes(name)
        return await self._workshop.do(text_of_moment, changes, _moment(changes, at), root)

    async def update(self, name: RoomName, at: str | None) -> bytes:
        """The whole document as it was, as one Yjs update. Raises BadMoment."""
        changes = await self.changes(name)
        return await self._workshop.do(update_at, changes, _moment(changes, at))

    async def blame(self, name: RoomName, at: str | None, root: str) -> Blamed:
        """Who wrote what of the text. Raises BadMoment."""
        changes = await self.changes(name)
        return Blamed(changes, await self._workshop.do(blame_at, changes, _moment(changes, at), root))

    async def compare(self, name: RoomName, before: str, after: str | None, root: str) -> Compared:
        """What has changed from one moment to another. Raises BadMoment."""
        changes = await self.changes(name)
        moments = _moment(changes, before), _moment(changes, after)
        return Compared(changes, await self._workshop.do(comparison, changes, *moments, root))

    # Turning back

    async def restore(self, name: RoomName, at: str, author: Author) -> bool:
        """Make the document what it was, by an edit of this author's; False if it is. Returns once it is saved.

        Raises BadMoment, KeptByRules, Locked, RoomUnavailable, RoomBusy, BudgetExceeded, EngineFailure.
        """
        self._check_free(name, author.user_id)
        changes = await self.changes(name)
        client_id = self._new_id(changes)
        update = await self._workshop.do(restoration, changes, _moment(changes, at), client_id)
        return await self._write(name, changes.epoch, update, author)

    async def revert(self, name: RoomName, author_id: int, since: str, author: Author) -> bool:
        """Take back what the author has done since, by an edit of `author`; False if there is nothing to do.

        Raises as `restore` does.
        """
        self._check_free(name, author.user_id)
        changes = await self.changes(name)
        client_id = self._new_id(changes)
        moment = _moment(changes, since)
        update = await self._workshop.do(reversal, changes, author_id, moment, client_id)
        return await self._write(name, changes.epoch, update, author)

    async def revert_run(self, name: RoomName, run_id: int, author: Author) -> bool:
        """Take back what a run of an agent has done, by an edit of `author`; False if there is nothing to do.

        Raises as `restore` does.
        """
        self._check_free(name, author.user_id)
        changes = await self.changes(name)
        update = await self._workshop.do(reversal_of_run, changes, run_id, self._new_id(changes))
        return await self._write(name, changes.epoch, update, author)

    async def _write(self, name: RoomName, epoch: int, update: bytes | None, author: Author) -> bool:
        if update is None:
            return False
        async with self._rooms.visit(name, may_create=False) as room:
            self._check_free(name, author.user_id)  # it may have been locked meanwhile
            if room.epoch != epoch:
                raise RoomBusy
            await room.merge(AbsentAuthor(*author), update, is_reply=False)
            await self._commits.drain()
            if room.journal.failure is not None:
                raise room.journal.failure
            if room.is_over or await room.would_change(update):
                raise RoomBusy
        return True

    # Named versions

    async def versions(self, name: RoomName) -> Sequence[NamedVersion]:
        """Newest moment first."""
        head = await self._log.head(name.canonical)
        return await self._versions.list(name.canonical, head.epoch)

    async def add_version(self, name: RoomName, label: str, at: str | None, user_id: int) -> NamedVersion:
        """Name a moment; now, if none is given. Raises BadMoment, NameTaken, TooManyVersions."""
        changes = await self.changes(name)
        moment = _moment(changes, at)
        seq = changes.all[moment - 1].seq if moment else 0
        return await self._versions.add(name.canonical, changes.epoch, seq, label, user_id, self._now_ms())

    async def rename_version(self, name: RoomName, version_id: int, label: str) -> NamedVersion:
        """Raises NoSuchVersion, NameTaken."""
        await self._version(name, version_id)
        await self._versions.rename(version_id, label)
        return await self._version(name, version_id)

    async def remove_version(self, name: RoomName, version_id: int) -> None:
        """Raises NoSuchVersion."""
        await self._version(name, version_id)
        await self._versions.remove(version_id)

    async def _version(self, name: RoomName, version_id: int) -> NamedVersion:
        head = await self._log.head(name.canonical)
        found = await self._versions.get(name.canonical, head.epoch, version_id)
        if found is None:
            raise NoSuchVersion(f"{name} has no version {version_id}")
        return found

    def _check_free(self, name: RoomName, user_id: int) -> None:
        if name.kind is not RoomKind.FILE:
            raise KeptByRules(f"{name} is written by its rules alone: it is not turned back")
        holder = self._lock_on(name, user_id)
        if holder is not None:
            raise Locked(f"{name} is locked by {holder}")

    def _new_id(self, changes: Changes) -> int:
        known = {client for change in changes.all for client in change.client_ids} | changes.authors.keys()
        return next(
            client for client in map(turning_id, iter(self._random_client_id, None)) if client not in known
        )

    async def _must_exist(self, name: RoomName) -> None:
        if not await self._log.exists(name.canonical):
            raise NoSuchRoom(f"no room {name}")


def _changes(rows: Sequence[StoredRow], epoch: int) -> list[Change]:
    return [
        Change(update.data, seq, update.received_at_ms, row.author_id, frozenset(row.client_ids), row.run_id)
        for stored in rows
        if (row := stored.row).epoch == epoch
        for update, seq in zip(row.updates, stored.seqs, strict=True)
    ]


def _moment(changes: Changes, at: str | None) -> int:
    return len(changes.all) if at is None else changes.moment(at)
