"""What the trees of workspaces say of their files, as rows: for lists, and for what is in the trash."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, literal, select, text, update

from crdt_store.database import Database
from crdt_store.lock_rows import is_within
from crdt_store.message_rows import storable
from crdt_store.places import in_chunks
from crdt_store.prepared import Prepared
from crdt_store.tables import documents, files, locks

_AFTER_SLASH = "0"  # the character after it


class FileRow(NamedTuple):
    """`deleted_at_ms`: ms since 1970, of a file in the trash; those of one `batch` went there together."""

    workspace_id: int
    file_id: str
    path: str
    folded_path: str
    language: str
    created_by: int | None
    created_at: str
    deleted_at_ms: int | None = None
    deleted_by: int | None = None
    batch: str | None = None


_FIELDS = [files.c[name] for name in FileRow._fields]
_PUT = Prepared(
    text(
        "INSERT INTO files (workspace_id, file_id, path, folded_path, language, created_by, created_at)"
        " VALUES (:workspace_id, :file_id, :path, :folded_path, :language, :created_by, :created_at)"
        " ON CONFLICT (workspace_id, file_id) DO UPDATE SET path = excluded.path,"
        " folded_path = excluded.folded_path, language = excluded.language, created_by = excluded.created_by,"
        " created_at = excluded.created_at, deleted_at_ms = NULL, deleted_by = NULL, batch = NULL"
    )
)


class Files:
    """Those of a database. All raise LogUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[FileRow]:
        """Of all workspaces, the trash too."""
        return await self._database.read(partial(_select))

    async def of(self, workspace_id: int) -> list[FileRow]:
        """Of one workspace, the trash too."""
        return await self._database.read(partial(_select, condition=files.c.workspace_id == workspace_id))

    async def page(
        self,
        workspace_id: int,
        *,
        folded_path: str | None = None,
        folded_folder: str | None = None,
        is_deleted: bool = False,
        after: str = "",
        limit: int,
    ) -> list[FileRow]:
        """With this path, or below this folder; the first by file id above `after`."""
        where = [files.c.workspace_id == workspace_id, files.c.file_id > after]
        where.append(files.c.deleted_at_ms.is_not(None) if is_deleted else files.c.deleted_at_ms.is_(None))
        if folded_path is not None:
            where.append(files.c.folded_path == folded_path)
        if folded_folder is not None:
            where += [
                files.c.folded_path > f"{folded_folder}/",
                files.c.folded_path < folded_folder + _AFTER_SLASH,
            ]
        query = select(*_FIELDS).where(*where).order_by(files.c.file_id).limit(limit)
        return await self._database.read(lambda connection: _rows(connection.execute(query)))

    async def trashed(self, *, before_ms: int, limit: int) -> list[FileRow]:
        """What went to the trash before this time, the longest there first."""
        query = select(*_FIELDS).where(files.c.deleted_at_ms < before_ms).order_by(files.c.deleted_at_ms)
        return await self._database.read(lambda connection: _rows(connection.execute(query.limit(limit))))

    async def unlisted(self, workspace_id: int) -> list[str]:
        """The ids of files that have a document and no row, not even in the trash."""
        return await self._database.read(partial(_unlisted, workspace_id=workspace_id))

    async def forget(self, workspace_id: int, file_id: str) -> None:
        """A file in the trash, once it has no document any more."""
        gone = delete(files).where(
            files.c.workspace_id == workspace_id,
            files.c.file_id == file_id,
            files.c.deleted_at_ms.is_not(None),
        )
        await self._database.write(lambda connection: connection.execute(gone) and None)


def put_files(connection: Connection, rows: Sequence[FileRow]) -> None:
    """They are as these say, and not in the trash."""
    if rows:
        keep = FileRow._fields[:7]
        _PUT.run(
            connection,
            [{name: _storable(getattr(row, name)) for name in keep} for row in rows],
        )


def trash_files(
    connection: Connection,
    workspace_id: int,
    file_ids: Iterable[str],
    *,
    now_ms: int,
    deleted_by: int | None,
    batch: str,
) -> None:
    """They are in the trash, together."""
    values = {"deleted_at_ms": now_ms, "deleted_by": deleted_by, "batch": batch}
    for chunk in in_chunks(sorted(file_ids)):
        is_one = files.c.workspace_id == workspace_id, files.c.file_id.in_(chunk)
        connection.execute(update(files).where(*is_one).values(values))


def move_locks(connection: Connection, workspace_id: int, moves: Mapping[str, str]) -> int:
    """Locks follow what was on their paths, and below: old path -> new one. How many did.

    Where its holder has locked the new path too, that lock stays alone.
    """
    query = select(locks.c.id, locks.c.path).where(locks.c.workspace_id == workspace_id)
    held: dict[str, int] = {path: lock_id for lock_id, path in connection.execute(query.with_for_update())}
    followed = [
        (lock_id, path, new + path[len(old) :])
        for path, lock_id in held.items()
        for old, new in moves.items()
        if is_within(path, old)
    ]
    leaving = {path for _, path, _ in followed}
    for lock_id, _, _ in followed:  # out of each other's way
        connection.execute(update(locks).where(locks.c.id == lock_id).values(path=f"/{lock_id}"))
    for lock_id, _, path in followed:
        if path in held and path not in leaving:
            connection.execute(delete(locks).where(locks.c.id == lock_id))
        else:
            connection.execute(update(locks).where(locks.c.id == lock_id).values(path=path))
    return len(followed)


def _select(connection: Connection, condition: ColumnElement[bool] | None = None) -> list[FileRow]:
    query = select(*_FIELDS)
    return _rows(connection.execute(query if condition is None else query.where(condition)))


def _unlisted(connection: Connection, workspace_id: int) -> list[str]:
    prefix = f"workspace:{workspace_id}/"
    name = documents.c.name
    is_listed = exists().where(
        files.c.workspace_id == workspace_id, literal(prefix) + files.c.file_id == documents.c.name
    )
    query = select(name).where(
        name > prefix, name < prefix[:-1] + _AFTER_SLASH, documents.c.deleted.is_(False), ~is_listed
    )
    return [found.removeprefix(prefix) for found in connection.scalars(query.order_by(name))]


def _rows(records: Iterable[Row[tuple[object, ...]]]) -> list[FileRow]:
    return [FileRow._make(record) for record in records]


def _storable(value: object) -> object:
    return storable(value) if isinstance(value, str) else value
