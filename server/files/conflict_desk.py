"""Conflicts of files: kept when a change is found to have one, told, listed and resolved."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crdt_store.conflict_checks import ConflictCheck, discard_check
from crdt_store.conflicts import Change, Conflicts, NewConflict, StoredConflict, add_conflicts
from crdt_store.effects import Connection
from server.files.conflict_finding import Conflict
from server.files.edits import Edit
from server.files.regions import Region, find
from server.files.version import Version
from server.files.versions import FileState, Versions
from server.files.writing import FileWriter, Outcome
from server.locks.access import path_of
from server.news.hub import Hub, News
from server.rooms.names import RoomName, parse_room_name
from server.rooms.runs import Author

logger = logging.getLogger(__name__)

YOURS, THEIRS, MERGED = "yours", "theirs", "merged"
"""What a conflict may be resolved by."""


class NoSuchConflict(Exception):
    """The file has no open conflict of that number; the message is for people."""


class ConflictDesk:
    """Every method raises LogUnavailable. `wake`: there are notifications to be sent out."""

    def __init__(
        self,
        conflicts: Conflicts,
        versions: Versions,
        writer: FileWriter,
        hub: Hub,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
        *,
        max_characters: int,
    ) -> None:
        """`max_characters`: of what is kept of a file's conflicts."""
        self._max_characters = max_characters
        self._conflicts = conflicts
        self._versions = versions
        self._writer = writer
        self._hub = hub
        self._now_ms = now_ms
        self._wake = wake

    async def keep(self, outcome: Outcome) -> Sequence[int | None]:
        """Keep the conflicts of a change, and tell the workspace; their ids. None: the file has no room for it."""
        if outcome.check is None or not (outcome.conflicts or outcome.is_asked):
            return ()
        keeping = self.keeping(outcome.check, outcome.conflicts)
        await self._conflicts.keep(keeping)
        return keeping.ids

    def keeping(self, check: ConflictCheck, found: Sequence[Conflict]) -> "Keeping":
        """The same as an effect, which also has the change looked at no more."""
        return Keeping(check, found, self._now_ms(), self._max_characters, self._kept)

    def _kept(self, change: Change, ids: Sequence[int | None]) -> None:
        self._wake()
        payload = {
            "path": change.path,
            "conflict_ids": [each for each in ids if each is not None],
            "authors": sorted({change.author_id, *change.others}),
        }
        name = parse_room_name(change.document, plain_names_workspace_id=None)
        self._tell(name, change.author_id, payload)

    async def list(
        self, name: RoomName, *, is_open: bool, before: int | None, limit: int
    ) -> Sequence[StoredConflict]:
        """Newest first."""
        return await self._conflicts.list(name.canonical, is_open=is_open, before=before, limit=limit)

    async def resolve(self, name: RoomName, author: Author, conflict_id: int, choice: str) -> Version:
        """Put one side's text where both are, unless the merged one is to stay; the file's version then.

        Raises NoSuchConflict; NoSuchRoom, and as FileWriter.write.
        """
        stored = await self._conflicts.get(name.canonical, conflict_id)
        if stored is None or stored.resolution is not None:
            raise NoSuchConflict(f"{name} has no open conflict {conflict_id}")
        newest = await self._versions.newest(name.canonical)
        version = newest.version
        if choice != MERGED:
            if stored.change.epoch != version.epoch:
                raise NoSuchConflict(f"{name} was replaced since conflict {conflict_id}: keep what is there")
            said = stored.new.yours if choice == YOURS else stored.new.theirs
            edits = await asyncio.to_thread(_replacing, newest, stored.new, said)
            outcome = await self._writer.write(name, author, version, lambda _: edits)
            version = outcome.state.version
        if not await self._conflicts.resolve(conflict_id, choice, author.user_id, self._now_ms()):
            raise NoSuchConflict(f"conflict {conflict_id} was resolved by somebody else meanwhile")
        payload = {"path": path_of(name), "conflict_ids": [conflict_id], "resolution": choice}
        self._tell(name, author.user_id, payload)
        return version

    def _tell(self, name: RoomName, user_id: int, payload: dict[str, Any]) -> None:
        self._hub.publish(f"workspace:{name.id}", News("conflict", payload, user_id, self._now_ms()))


@dataclass(eq=False)
class Keeping:
    """An `Effect`: what was found of a change, once. `ids`: of the conflicts, once it is stored."""

    check: ConflictCheck
    found: Sequence[Conflict]
    now_ms: int
    max_characters: int
    on_kept: Callable[[Change, Sequence[int | None]], None]
    ids: Sequence[int | None] = ()

    def store(self, connection: Connection) -> None:
        found = [_new(each) for each in self.found]
        self.ids, self._is_new = add_conflicts(
            connection, self._change(), found, self.now_ms, self.max_characters
        )
        discard_check(connection, self.check)

    def committed(self) -> None:
        if None in self.ids:
            logger.warning("%s has no room for more conflicts", self.check.document)
        if self._is_new:
            self.on_kept(self._change(), self.ids)

    def _change(self) -> Change:
        check = self.check
        name = parse_room_name(check.document, plain_names_workspace_id=None)
        others = sorted({user for conflict in self.found for user in conflict.others})
        return Change(check.document, check.epoch, check.write_id, path_of(name), check.author_id, others)


def _new(found: Conflict) -> NewConflict:
    region = found.region
    return NewConflict(region.after, region.before, found.base, found.yours, found.theirs, found.merged)


def _replacing(state: FileState, conflict: NewConflict, text: str) -> list[Edit]:
    [there] = find(state, (), [Region(conflict.after, conflict.before)])
    return [] if there.said == text else [Edit(there.start, there.end, text)]
