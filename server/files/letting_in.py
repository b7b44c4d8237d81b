"""How held edits get into a file that is not locked any more: in its names of today, and with its author's rights.

What cannot get in is kept aside with what clients of earlier epochs bring, for somebody to merge or discard: nothing
is held for ever, and nothing lost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from crdt_store.conflict_checks import ConflictCheck
from crdt_store.group_commit import GroupCommit
from crdt_store.held_edits import HeldEdit
from crdt_store.stale_updates import StaleUpdates, TooManyStaleUpdates
from crdt_store.update_log import UpdateLog
from server.documents.absent_author import AbsentAuthor
from server.documents.service import UpdateContradicts, in_current_names
from server.engine.document import EngineFailure
from server.files.check_later import CheckLater, write_id_of
from server.files.version import digest_of
from server.protocol.merge_updates import merge_updates
from server.protocol.rename_clients import clients_of
from server.protocol.update_shape import MalformedUpdate, check_state_vector, check_update
from server.rooms.names import RoomName
from server.rooms.room import Room, RoomBusy, UpdateIncomplete
from server.rooms.room_manager import RoomManager
from server.rooms.runs import Run
from server.rooms.unseen import write_lacked

MayWrite = Callable[[RoomName, int], Awaitable[bool]]
_EMPTY_STATE_VECTOR = b"\0"
logger = logging.getLogger(__name__)


class LettingIn:
    """An `Admission`. `may_write`: whether an author still may, of whom no token is at hand. `wake`: for a check."""

    def __init__(
        self,
        log: UpdateLog,
        rooms: RoomManager,
        commits: GroupCommit,
        stale: StaleUpdates,
        *,
        may_write: MayWrite,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self._log = log
        self._rooms = rooms
        self._commits = commits
        self._stale = stale
        self._may_write = may_write
        self._now_ms = now_ms
        self._wake = wake

    async def let_in(self, name: RoomName, author_id: int, edits: Sequence[HeldEdit]) -> bool:
        """As `Admission.let_in`: in the document, or kept aside. False if something that they build on is missing."""
        update = await asyncio.to_thread(merge_updates, [edit.data for edit in edits])
        if not await self._may_write(name, author_id):
            return await self._put_aside(
                name, author_id, edits[0].run_id, update, "their author may not write there any more"
            )
        async with self._rooms.visit(name, may_create=True) as room:
            is_of_now = True
            try:
                fitting, is_of_now = await self._in_names_of_now(room, update)
                await self._merge(room, author_id, fitting, edits)
            except UpdateContradicts:
                reason = "they say something else under ids that the document has already"
            except UpdateIncomplete:
                if is_of_now:
                    return False  # it may come yet
                reason = "they build on what was deleted, or replaced"
            except (MalformedUpdate, EngineFailure) as error:
                reason = repr(error)
            else:
                return True
        return await self._put_aside(name, author_id, edits[0].run_id, update, reason)

    async def _merge(self, room: Room, author_id: int, update: bytes, edits: Sequence[HeldEdit]) -> None:
        """Returns once it is committed, and nothing is held of it any more."""
        held_ids, run_id = [edit.id for edit in edits], edits[0].run_id

        def effects_of(taken_in: bytes) -> Sequence[CheckLater]:
            check = _check_of(room, author_id, taken_in, edits)
            return [CheckLater(check, self._now_ms(), held_ids=held_ids, wake=self._wake)]

        await room.merge(AbsentAuthor(author_id, Run.earlier(run_id)), update, effects_of=effects_of)
        if await room.would_change(update):
            raise RoomBusy
        await self._commits.drain()
        if room.journal.failure is not None:
            raise room.journal.failure

    async def _in_names_of_now(self, room: Room, update: bytes) -> tuple[bytes, bool]:
        """What the update says in this epoch, and whether it is of this one.

        Raises UpdateContradicts, RoomBusy, MalformedUpdate.
        """
        head = await self._log.head(room.name.canonical)
        shape = await asyncio.to_thread(check_update, update)
        if head.epoch != room.epoch or room.is_busy:
            raise RoomBusy
        state = room.document.contents.state
        is_of_now = head.retired.keys().isdisjoint(clients_of(shape) - state.keys())
        if is_of_now and all(start >= state.get(client, 0) for client, (start, _) in shape.structs.items()):
            return update, True
        content = room.document.encode_since(_EMPTY_STATE_VECTOR)
        return await asyncio.to_thread(in_current_names, update, head.retired, content), is_of_now

    async def _put_aside(
        self, name: RoomName, author_id: int, run_id: int | None, update: bytes, reason: str
    ) -> bool:
        logger.warning("what was held of %s by user %d is kept aside: %s", name, author_id, reason)
        try:
            return await self._stale.add(name.canonical, author_id, update, self._now_ms(), run_id)
        except TooManyStaleUpdates as error:
            logger.warning("%s: what is held of user %d stays held: %s", name, author_id, error)
            return False


def _check_of(room: Room, author_id: int, update: bytes, edits: Sequence[HeldEdit]) -> ConflictCheck:
    """Against what the author lacked when it came back; else against what others wrote while it was locked."""
    digest = digest_of(update)
    check = ConflictCheck(room.name.canonical, room.epoch, author_id, digest, write_id_of(digest))
    lacked: dict[int, int] = {}
    for vector in (edit.lacked for edit in edits if edit.lacked is not None):
        for client, clock in check_state_vector(vector).items():
            lacked[client] = min(clock, lacked.get(client, clock))
    if any(edit.lacked is not None for edit in edits):
        return check._replace(lacked=write_lacked(lacked).hex())
    locked_ms = [edit.locked_at_ms for edit in edits if edit.locked_at_ms is not None]
    return check._replace(since_ms=[*sorted(locked_ms)[:1], edits[0].received_at_ms])
