"""Plain access to files, put together."""

import asyncio
from collections.abc import Callable
from secrets import token_hex

from crdt_store.conflict_checks import FILE_CONFLICTS
from crdt_store.conflicts import Conflicts
from crdt_store.database import Database
from crdt_store.group_commit import GroupCommit
from crdt_store.jobs import Jobs
from crdt_store.stale_updates import StaleUpdates
from crdt_store.update_log import UpdateLog
from server.files.check_later import Returns
from server.files.conflict_checks import ConflictChecks
from server.files.conflict_desk import ConflictDesk
from server.files.holding import HeldBack
from server.files.letting_in import LettingIn, MayWrite
from server.files.versions import Versions
from server.files.writing import FileWriter, Outcome
from server.jobs.worker import JobPolicy, Worker
from server.news.hub import Hub
from server.rooms.names import RoomName
from server.rooms.room_manager import RoomManager
from server.rooms.runs import Author


class Files:
    """`versions` reads, `writer` writes, `desk` has the conflicts, `checker` finds them, `held_back` holds edits.

    `run` has to run while the server serves.
    """

    def __init__(
        self,
        database: Database,
        log: UpdateLog,
        versions: Versions,
        rooms: RoomManager,
        commits: GroupCommit,
        hub: Hub,
        held_back: HeldBack,
        stale: StaleUpdates,
        returns: Returns,
        policy: JobPolicy,
        *,
        may_write: MayWrite,
        live_seconds: float,
        max_conflict_characters: int,
        now_ms: Callable[[], int],
        random: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """`may_write`: as for `LettingIn`. `live_seconds`: what crosses within is no conflict.

        `wake`: there are notifications to be sent out.
        """
        self._log = log
        self.versions = versions
        self.writer = FileWriter(self.versions, rooms, commits, held_back.lock_on, now_ms)
        self.desk = ConflictDesk(
            Conflicts(database),
            self.versions,
            self.writer,
            hub,
            now_ms,
            wake,
            max_characters=max_conflict_characters,
        )
        checks = ConflictChecks(versions, self.desk, live_ms=int(live_seconds * 1000))
        self.checker = Worker(
            Jobs(database),
            {},
            policy,
            name=token_hex(8),
            now_ms=now_ms,
            random=random,
            long_handlers={FILE_CONFLICTS: checks},
        )
        returns.wake = self.checker.wake
        self.held_back = held_back
        held_back.admission = LettingIn(
            log, rooms, commits, stale, may_write=may_write, now_ms=now_ms, wake=self.checker.wake
        )

    async def run(self) -> None:
        """Find conflicts, and try again to let in what could not be."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.checker.run())
            tasks.create_task(self.held_back.run())

    async def create(self, name: RoomName, author: Author, text: str) -> Outcome:
        """As FileWriter.create, in the epoch that the document would begin. Raises LogUnavailable too."""
        head = await self._log.head(name.canonical)
        return await self.writer.create(name, author, head.epoch, text)
