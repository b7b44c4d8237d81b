"""Conflicts of files: kept when a change is found to have one, told, listed and resolved."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from crdt_store.conflicts import Change, Conflicts, NewConflict, StoredConflict
from server.files.conflict_finding import Conflict
from server.files.edits import Edit
from server.files.regions import Region, find
from server.files.version import Version
from server.files.versions import FileState, Versions
from server.files.writing import FileWriter, Outcome
from server.locks.access import path_of
from server.news.hub import Hub, News
from server.rooms.names import RoomName

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
    ) -> None:
        self._conflicts = conflicts
        self._versions = versions
        self._writer = writer
        self._hub = hub
        self._now_ms = now_ms
        self._wake = wake

    async def keep(self, name: RoomName, user_id: int, outcome: Outcome) -> list[int]:
        """Keep the conflicts of a change, and tell the workspace; their ids."""
        if not outcome.conflicts:
            return []
        others = sorted({user for conflict in outcome.conflicts for user in conflict.others})
        change = Change(
            name.canonical, outcome.state.version.epoch, outcome.write_id, path_of(name), user_id, others
        )
        now_ms = self._now_ms()
        ids = await self._conflicts.add(change, [_new(each) for each in outcome.conflicts], now_ms)
        self._wake()
        payload = {"path": change.path, "conflict_ids": ids, "authors": sorted({user_id, *others})}
        self._tell(name, user_id, payload)
        return ids

    async def list(
        self, name: RoomName, *, is_open: bool, before: int | None, limit: int
    ) -> Sequence[StoredConflict]:
        """Newest first."""
        return await self._conflicts.list(name.canonical, is_open=is_open, before=before, limit=limit)

    async def resolve(self, name: RoomName, user_id: int, conflict_id: int, choice: str) -> Version:
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
            outcome = await self._writer.write(name, user_id, version, lambda _: edits)
            version = outcome.state.version
        if not await self._conflicts.resolve(conflict_id, choice, user_id, self._now_ms()):
            raise NoSuchConflict(f"conflict {conflict_id} was resolved by somebody else meanwhile")
        payload = {"path": path_of(name), "conflict_ids": [conflict_id], "resolution": choice}
        self._tell(name, user_id, payload)
        return version

    def _tell(self, name: RoomName, user_id: int, payload: dict[str, Any]) -> None:
        self._hub.publish(f"workspace:{name.id}", News("conflict", payload, user_id, self._now_ms()))


def _new(found: Conflict) -> NewConflict:
    region = found.region
    return NewConflict(region.after, region.before, found.base, found.yours, found.theirs, found.merged)


def _replacing(state: FileState, conflict: NewConflict, text: str) -> list[Edit]:
    there = find(state, (), Region(conflict.after, conflict.before))
    return [] if there.said == text else [Edit(there.start, there.end, text)]
