"""Plain access to files, put together."""

from collections.abc import Callable

from crdt_store.conflicts import Conflicts
from crdt_store.database import Database
from crdt_store.group_commit import GroupCommit
from crdt_store.update_log import UpdateLog
from server.files.conflict_desk import ConflictDesk
from server.files.holding import HeldBack
from server.files.versions import Versions
from server.files.writing import FileWriter, Outcome
from server.news.hub import Hub
from server.rooms.names import RoomName
from server.rooms.room_manager import RoomManager


class Files:
    """`versions` reads, `writer` writes, `desk` has the conflicts."""

    def __init__(
        self,
        database: Database,
        log: UpdateLog,
        versions: Versions,
        rooms: RoomManager,
        commits: GroupCommit,
        hub: Hub,
        held_back: HeldBack,
        *,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        """`wake`: there are notifications to be sent out."""
        self._log = log
        self.versions = versions
        self.writer = FileWriter(self.versions, rooms, commits, held_back.lock_on)
        self.desk = ConflictDesk(Conflicts(database), self.versions, self.writer, hub, now_ms, wake)
        self.held_back = held_back
        held_back.join(rooms, commits, self.versions, self.desk)

    async def create(self, name: RoomName, user_id: int, text: str) -> Outcome:
        """As FileWriter.create, in the epoch that the document would begin. Raises LogUnavailable too."""
        head = await self._log.head(name.canonical)
        return await self.writer.create(name, user_id, head.epoch, text)
