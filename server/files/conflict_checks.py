"""Whether changes meet what their authors had not seen: looked at after the commit, as it is asked for within it."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from crdt_store.conflict_checks import ConflictCheck
from crdt_store.effects import Effect
from crdt_store.jobs import Job
from server.files.conflict_desk import ConflictDesk
from server.files.conflict_finding import Conflict, find_conflicts
from server.files.crossing import Crossed, LookFurther, what_crossed
from server.files.text_diff import diff
from server.files.version import Version
from server.files.versions import ROOT, FileState, UnknownVersion, Versions, WrittenBy
from server.protocol.update_shape import check_state_vector, check_update
from server.rooms.room_manager import NoSuchRoom
from server.rooms.unseen import Lacked


class _Sides(NamedTuple):
    """What both sides began with, and what each has written since."""

    base: FileState
    others: Sequence[WrittenBy]
    mine: Sequence[bytes]


class ConflictChecks:
    """Handles the jobs of `crdt_store.conflict_checks`. `live_ms`: edits that cross within this are no conflict."""

    def __init__(self, versions: Versions, desk: ConflictDesk, *, live_ms: int) -> None:
        self._versions = versions
        self._desk = desk
        self._live_ms = live_ms

    async def __call__(self, job: Job) -> Effect:
        """Raises LogUnavailable, DocumentDamaged, EngineFailure, MemoryError: it is tried again."""
        check = ConflictCheck.of(job)
        return self._desk.keeping(check, await self._find(check))

    async def _find(self, check: ConflictCheck) -> Sequence[Conflict]:
        try:
            sides = await self._sides(check)
        except (NoSuchRoom, UnknownVersion):  # deleted or replaced since
            return ()
        if sides is None or all(each.author_id in (None, check.author_id) for each in sides.others):
            return ()
        found = await asyncio.to_thread(_compare, sides)
        of_others = [
            each._replace(others=tuple(user for user in each.others if user != check.author_id))
            for each in found
        ]
        return [each for each in of_others if each.others]

    async def _sides(self, check: ConflictCheck) -> _Sides | None:
        """None: nobody has written anything that the author had not seen."""
        if check.lacked is not None:
            return await self._since_it_left(check, check_state_vector(bytes.fromhex(check.lacked)))
        if check.version is not None:
            return await self._since_version(check, Version.parse(check.version))
        for at_ms in check.since_ms:
            sides = await self._since_time(check, at_ms)
            if sides is not None:
                return sides
        return None

    async def _since_version(self, check: ConflictCheck, version: Version) -> _Sides | None:
        written = await self._versions.written_since(check.document, version)
        change = _index_of(check.digest, written or ())
        if written is None or change is None:
            return None
        base = await self._versions.at(check.document, version)
        return _Sides(base, written[:change], [written[change].data])

    async def _since_time(self, check: ConflictCheck, at_ms: int) -> _Sides | None:
        """None too if the change builds on more than there was: its author has seen some of the others' edits."""
        version = await self._versions.as_of(check.document, at_ms)
        sides = None if version is None else await self._since_version(check, version)
        if sides is None or not await asyncio.to_thread(_stands_on, sides.base, sides.mine[0]):
            return None
        return sides._replace(others=[each for each in sides.others if each.author_id != check.author_id])

    async def _since_it_left(self, check: ConflictCheck, lacked: Lacked) -> _Sides | None:
        async for written, is_whole in self._versions.backwards(check.document):
            change = _index_of(check.digest, written)
            if change is None:
                continue
            try:
                crossed = await asyncio.to_thread(
                    what_crossed, written[: change + 1], check.author_id, lacked, is_whole=is_whole
                )
            except LookFurther:
                continue
            return (
                None if crossed is None or self._is_live(crossed) else await self._at_parting(check, crossed)
            )
        return None

    def _is_live(self, crossed: Crossed) -> bool:
        """Whether all of it came within moments."""
        return crossed.mine[-1].received_at_ms - crossed.others[0].received_at_ms < self._live_ms

    async def _at_parting(self, check: ConflictCheck, crossed: Crossed) -> _Sides:
        base = await self._versions.at(check.document, crossed.seen.version)
        if crossed.known:
            base = await asyncio.to_thread(base.after, crossed.known)
        return _Sides(base, crossed.others, [each.data for each in crossed.mine])


def _compare(sides: _Sides) -> list[Conflict]:
    ours = sides.base.with_updates(sides.mine).text(ROOT)
    return find_conflicts(sides.base, diff(sides.base.text, ours), sides.others, sides.mine)


def _stands_on(base: FileState, update: bytes) -> bool:
    return not base.with_updates([update]).contents.adds(check_update(update))


def _index_of(digest: str, written: Sequence[WrittenBy]) -> int | None:
    return next((nth for nth, each in enumerate(written) if each.version.last == digest), None)
