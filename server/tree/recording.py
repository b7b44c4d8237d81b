"""What becomes of a tree's changes in the database: rows of files, the trash, and locks that follow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from crdt_store.effects import Connection
from crdt_store.files import FileRow, move_locks, put_files, trash_files
from server.tree.entries import Change, ChangeKind, Entry
from server.tree.paths import folded


@dataclass(eq=False)
class Recording:
    """An `Effect`: stores what an update has changed in its transaction, and says afterwards that it is stored.

    `moves`: old path -> new one, of what locks follow. `batch`: what goes to the trash now is one.
    """

    workspace_id: int
    changes: Sequence[Change]
    author_id: int | None
    now_ms: int
    batch: str
    moves: Mapping[str, str]
    on_stored: Callable[["Recording"], None]
    moved_locks: int = field(default=0, init=False)

    def store(self, connection: Connection) -> None:
        put_files(connection, self.put_rows())
        gone = self.deleted_ids()
        if gone:
            trash_files(
                connection,
                self.workspace_id,
                gone,
                now_ms=self.now_ms,
                deleted_by=self.author_id,
                batch=self.batch,
            )
        self.moved_locks = move_locks(connection, self.workspace_id, self.moves) if self.moves else 0

    def committed(self) -> None:
        """Once, on the event loop."""
        self.on_stored(self)

    def put_rows(self) -> list[FileRow]:
        """Of files that are somewhere."""
        entries = {each.file_id: each.entry for each in self.changes if each.file_id and each.entry}
        return [row_of(self.workspace_id, file_id, entry) for file_id, entry in entries.items()]

    def deleted_ids(self) -> list[str]:
        return [each.file_id for each in self.changes if each.kind is ChangeKind.DELETED and each.file_id]


def row_of(workspace_id: int, file_id: str, entry: Entry) -> FileRow:
    """As the tree has it."""
    return FileRow(
        workspace_id,
        file_id,
        entry.path,
        folded(entry.path),
        entry.language,
        entry.created_by,
        entry.created_at,
    )
