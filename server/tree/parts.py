"""The trees of workspaces, put together."""

import asyncio
import logging
from collections.abc import Callable

from crdt_store.group_commit import GroupCommit
from crdt_store.lock_rows import Lock, LockChange, LockEvent
from crdt_store.update_log import LogUnavailable
from server.documents.service import Documents
from server.engine.document import EngineFailure
from server.locks.book import LockBook
from server.locks.service import LockService
from server.rooms.names import file_name
from server.rooms.room_manager import RoomManager, RoomUnavailable
from server.tree.book import FileBook
from server.tree.desk import CreateText, TreeDesk
from server.tree.trees import OnMoved, Start, Trees

_SWEEP_SECONDS = 600.0
_DAY_MS = 86_400_000
logger = logging.getLogger(__name__)


class FileLocks:
    """Locks of paths, asked for by the ids of files."""

    def __init__(self, locks: LockBook, files: FileBook) -> None:
        self._locks = locks
        self._files = files

    def blocks(self, workspace_id: int, file_id: str, user_id: int | None) -> Lock | None:
        """What keeps this user from writing the file; nothing does while it is in the trash."""
        path = self._files.path_of(file_name(workspace_id, file_id))
        return None if path is None else self._locks.blocks(workspace_id, path, user_id)


class TreeParts:
    """`trees` keeps them, `desk` has what is done over HTTP. `run` has to run while the server serves."""

    def __init__(
        self,
        trees: Trees,
        rooms: RoomManager,
        commits: GroupCommit,
        documents: Documents,
        locks: LockService,
        *,
        create_text: CreateText,
        on_moved: OnMoved,
        start: Start,
        trash_days: int | None,
        now_ms: Callable[[], int],
    ) -> None:
        """`on_moved`: what others may write has changed. `trash_days`: None: nothing is purged by itself."""
        trees.rooms, trees.commits, trees.on_moved, trees.sweep_locks = rooms, commits, on_moved, locks.sweep
        self.desk = TreeDesk(trees, documents, create_text)
        self._on_moved = on_moved
        self._start = start
        self._trash_days = trash_days
        self._now_ms = now_ms
        trees.locks.subscribe(self._lock_changed)

    def _lock_changed(self, change: LockChange) -> None:
        if change.event.ends or change.event in (LockEvent.TRANSFERRED, LockEvent.MOVED):
            self._start(self._on_moved())

    async def run(self) -> None:
        """Purge what has been in the trash for too long."""
        while self._trash_days is not None:
            try:
                await self.desk.purge_older(self._now_ms() - self._trash_days * _DAY_MS)
            except (LogUnavailable, RoomUnavailable, EngineFailure) as error:
                logger.error("the trash is not emptied yet: %s", error)
            await asyncio.sleep(_SWEEP_SECONDS)
