"""All files of all workspaces, in memory: where each is is answered at once."""

from collections.abc import Iterable, Iterator

from crdt_store.files import FileRow
from server.rooms.names import RoomKind, RoomName
from server.tree.entries import Stamp


class FileBook:
    """Has what the database has, the trash too."""

    def __init__(self) -> None:
        self._of_workspace: dict[int, dict[str, FileRow]] = {}

    def put(self, rows: Iterable[FileRow]) -> None:
        for row in rows:
            self._of_workspace.setdefault(row.workspace_id, {})[row.file_id] = row

    def forget(self, workspace_id: int, file_id: str) -> None:
        self._of_workspace.get(workspace_id, {}).pop(file_id, None)

    def get(self, workspace_id: int, file_id: str) -> FileRow | None:
        return self._of_workspace.get(workspace_id, {}).get(file_id)

    def stamp_of(self, workspace_id: int, file_id: str) -> Stamp | None:
        """Who made a file, and when; of one in the trash too."""
        row = self.get(workspace_id, file_id)
        return None if row is None else Stamp(row.created_by, row.created_at)

    def path_of(self, room: RoomName) -> str | None:
        """Where a room's file is; None: nowhere, since it is in the trash. One that the tree has not is its id."""
        if room.kind is not RoomKind.FILE:
            return None
        file_id = room.canonical.partition("/")[2]
        row = self.get(room.id, file_id)
        if row is None:
            return file_id
        return row.path if row.deleted_at_ms is None else None

    def of_batch(self, trashed: FileRow) -> Iterator[FileRow]:
        """What went to the trash together with this file, and is there still."""
        for row in tuple(self._of_workspace.get(trashed.workspace_id, {}).values()):
            if row.deleted_at_ms is not None and row.batch == trashed.batch:
                yield row
