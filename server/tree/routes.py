"""`/api/workspaces/{id}/tree`, `files`, `folders`, `trash`: where files are (docs/tree.md)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response

from auth.grants import Action, Grant
from crdt_store.lock_rows import LockTaken
from crdt_store.update_log import DocumentDamaged, LogUnavailable
from server.access.callers import Caller, Door, parse_room, require
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.documents.access import Access
from server.locks.access import taken_error
from server.rooms.names import RoomName, file_name
from server.rooms.room import RoomBusy
from server.rooms.room_manager import RoomUnavailable
from server.settings import Settings
from server.tree.desk import NoSuchFile, PathTaken, TreeDesk
from server.tree.paths import BadPath, folded, normal_path
from server.tree.rest_models import (
    ChangeFileRequest,
    CopyRequest,
    FileId,
    FileModel,
    FilePage,
    FolderModel,
    FolderRequest,
    NewFileRequest,
    PathText,
    RestoredModel,
    RestoreRequest,
    TrashedModel,
    TrashPage,
    TreeModel,
)

_CODES: dict[type[Exception], ErrorCode] = {
    NoSuchFile: ErrorCode.NOT_FOUND,
    PathTaken: ErrorCode.PATH_TAKEN,
    BadPath: ErrorCode.INVALID_PARAMETER,
    RoomBusy: ErrorCode.UNAVAILABLE,
    RoomUnavailable: ErrorCode.UNAVAILABLE,
    LogUnavailable: ErrorCode.UNAVAILABLE,
    DocumentDamaged: ErrorCode.UNAVAILABLE,
}
_MAX_ITEMS = 200
_WORKSPACE = "/workspaces/{id}"
_After = Annotated[str, Query(max_length=2048)]
_Limit = Annotated[int, Query(ge=1, le=_MAX_ITEMS)]


def add_tree_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes, after those of files; `app.state` has `doorkeeper` and `tree` (TreeDesk)."""
    add_error_handlers(app, _CODES, internal=(LogUnavailable, DocumentDamaged))
    router = APIRouter(prefix="/api", tags=["tree"])
    _add_reading_routes(router, settings)
    _add_file_routes(router, settings)
    _add_folder_routes(router, settings)
    _add_trash_routes(router, settings)
    app.include_router(router)


def _desk_of(request: Request) -> TreeDesk:
    desk: TreeDesk = request.app.state.tree
    return desk


_Desk = Annotated[TreeDesk, Depends(_desk_of)]


def _access(settings: Settings, action: Action) -> Callable[[Caller, Door, str], Awaitable[Access]]:
    """A dependency that lets through who may do `action` to the workspace of the path. Raises ApiError."""

    async def check(caller: Caller, door: Door, number: Annotated[str, Path(alias="id")]) -> Access:
        name = parse_room(f"workspace:{number}", settings.plain_names_workspace_id)
        if "/" in name.canonical:
            raise ApiError(ErrorCode.NOT_FOUND, f"there is no workspace {number[:40]!r}, or not for you")
        await require(door, caller, name, action)
        return Access(name, caller, action)

    return check


async def _file_id(file_id: Annotated[str, Path()]) -> str:
    """Of the path. Raises ApiError."""
    return parse_room(f"workspace:1/{file_id}", None).canonical.partition("/")[2]


_FileIdOfPath = Annotated[str, Depends(_file_id)]


def _folder(path: Annotated[str, Path()]) -> str:
    """Of the path. Raises BadPath."""
    return normal_path(path)


_FolderOfPath = Annotated[str, Depends(_folder)]


async def _may_read(door: Door, access: Access, settings: Settings, file_id: str) -> bool:
    room: RoomName = parse_room(
        file_name(access.room.id, file_id).canonical, settings.plain_names_workspace_id
    )
    return Grant(await door.role_in(access.identity, room)).allows(Action.READ)


def _add_reading_routes(router: APIRouter, settings: Settings) -> None:
    Reader = Annotated[Access, Depends(_access(settings, Action.READ))]  # noqa: N806 - a type

    @router.get(f"{_WORKSPACE}/tree")
    async def read_tree(reader: Reader, door: Door, desk: _Desk) -> TreeModel:
        """All files and folders, by path; of files those that the caller may read."""
        tree, workspace_id = await desk.trees.read(reader.room.id), reader.room.id
        files = sorted(tree.entries.items(), key=lambda each: each[1].path)
        folders = sorted(tree.folders.items())
        shown = [each for each in files if await _may_read(door, reader, settings, each[0])]
        return TreeModel(
            files=[FileModel.of(workspace_id, file_id, entry) for file_id, entry in shown],
            folders=[FolderModel.of(path, folder) for path, folder in folders],
        )

    @router.get(f"{_WORKSPACE}/files")
    async def find_files(
        reader: Reader,
        door: Door,
        desk: _Desk,
        path: Annotated[PathText | None, Query()] = None,
        prefix: Annotated[PathText | None, Query()] = None,
        after: _After = "",
        limit: _Limit = 50,
    ) -> FilePage:
        """The file at a path, whatever its case, or those below a folder (`prefix`), by file id."""
        workspace_id = reader.room.id
        await desk.trees.read(workspace_id)  # what has just got content is in it
        found = await desk.trees.files.page(
            workspace_id,
            folded_path=None if path is None else folded(path),
            folded_folder=None if prefix is None else folded(prefix),
            after=after,
            limit=limit + 1,
        )
        items = [
            FileModel.of(workspace_id, row.file_id, row)
            for row in found[:limit]
            if await _may_read(door, reader, settings, row.file_id)
        ]
        return FilePage(items=items, next_after=found[limit - 1].file_id if len(found) > limit else None)


def _add_file_routes(router: APIRouter, settings: Settings) -> None:
    Writer = Annotated[Access, Depends(_access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.post(f"{_WORKSPACE}/files", status_code=201)
    async def create_file(body: NewFileRequest, writer: Writer, door: Door, desk: _Desk) -> FileModel:
        """Make a file, with a text if one is given; the same one, asked for again."""
        workspace_id, file_id = writer.room.id, body.file_id or str(uuid4())
        async with _locks_told(door, writer):
            entry = await desk.create(
                workspace_id,
                writer.identity.author,
                file_id,
                body.path,
                language=body.language,
                text=body.text,
                rename=body.rename,
            )
        return FileModel.of(workspace_id, file_id, entry)

    @router.patch(f"{_WORKSPACE}/files/{{file_id:path}}")
    async def change_file(
        body: ChangeFileRequest, file_id: _FileIdOfPath, writer: Writer, door: Door, desk: _Desk
    ) -> FileModel:
        """Rename or move it, or say its language; its id stays."""
        async with _locks_told(door, writer):
            entry = await desk.change(
                writer.room.id,
                writer.identity.author,
                file_id,
                path=body.path,
                language=body.language,
                rename=body.rename,
            )
        return FileModel.of(writer.room.id, file_id, entry)

    @router.post(f"{_WORKSPACE}/files/{{file_id:path}}/copy", status_code=201)
    async def copy_file(
        body: CopyRequest, file_id: _FileIdOfPath, writer: Writer, door: Door, desk: _Desk
    ) -> FileModel:
        """Make another file with what this one has now, all roots of its document."""
        source = parse_room(f"{writer.room}/{file_id}", settings.plain_names_workspace_id)
        await require(door, writer.identity, source, Action.READ)
        new_id: FileId = body.file_id or str(uuid4())
        async with _locks_told(door, writer):
            entry = await desk.copy(
                writer.room.id, writer.identity.author, file_id, new_id, body.path, rename=body.rename
            )
        return FileModel.of(writer.room.id, new_id, entry)

    @router.delete(f"{_WORKSPACE}/files/{{file_id:path}}", status_code=204)
    async def delete_file(file_id: _FileIdOfPath, writer: Writer, door: Door, desk: _Desk) -> None:
        """Put it into the trash."""
        async with _locks_told(door, writer):
            await desk.delete(writer.room.id, writer.identity.author, file_id)


def _add_folder_routes(router: APIRouter, settings: Settings) -> None:
    Writer = Annotated[Access, Depends(_access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.post(f"{_WORKSPACE}/folders", status_code=201)
    async def create_folder(body: FolderRequest, writer: Writer, door: Door, desk: _Desk) -> FolderModel:
        """Make a folder, or find the one that is there."""
        async with _locks_told(door, writer):
            made = await desk.create_folder(writer.room.id, writer.identity.author, body.path)
        return FolderModel.of(*made)

    @router.patch(f"{_WORKSPACE}/folders/{{path:path}}", status_code=204)
    async def move_folder(
        body: FolderRequest, path: _FolderOfPath, writer: Writer, door: Door, desk: _Desk
    ) -> None:
        """Rename or move it, with all that is in it."""
        async with _locks_told(door, writer):
            await desk.move_folder(writer.room.id, writer.identity.author, path, body.path)

    @router.delete(f"{_WORKSPACE}/folders/{{path:path}}", status_code=204)
    async def delete_folder(path: _FolderOfPath, writer: Writer, door: Door, desk: _Desk) -> Response:
        """Put all files that are in it into the trash, together."""
        async with _locks_told(door, writer):
            await desk.delete_folder(writer.room.id, writer.identity.author, path)
        return Response(status_code=204)


def _add_trash_routes(router: APIRouter, settings: Settings) -> None:
    Reader = Annotated[Access, Depends(_access(settings, Action.READ))]  # noqa: N806 - a type
    Writer = Annotated[Access, Depends(_access(settings, Action.WRITE))]  # noqa: N806 - a type
    Admin = Annotated[Access, Depends(_access(settings, Action.REPLACE))]  # noqa: N806 - a type

    @router.get(f"{_WORKSPACE}/trash")
    async def read_trash(
        reader: Reader, door: Door, desk: _Desk, after: _After = "", limit: _Limit = 50
    ) -> TrashPage:
        """Files that were deleted, by file id."""
        await desk.trees.read(reader.room.id)
        found = await desk.trees.files.page(reader.room.id, is_deleted=True, after=after, limit=limit + 1)
        items = [
            TrashedModel.of_row(row)
            for row in found[:limit]
            if await _may_read(door, reader, settings, row.file_id)
        ]
        return TrashPage(items=items, next_after=found[limit - 1].file_id if len(found) > limit else None)

    @router.post(f"{_WORKSPACE}/trash/{{file_id:path}}/restore")
    async def restore_file(
        file_id: _FileIdOfPath, writer: Writer, door: Door, desk: _Desk, body: RestoreRequest | None = None
    ) -> RestoredModel:
        """Put it back, or all that was deleted with it; with a number where its path is taken."""
        together = body is not None and body.together
        async with _locks_told(door, writer):
            restored = await desk.restore(writer.room.id, writer.identity.author, file_id, together=together)
        return RestoredModel.of(writer.room.id, restored)

    @router.delete(f"{_WORKSPACE}/trash/{{file_id:path}}", status_code=204)
    async def purge_file(file_id: _FileIdOfPath, admin: Admin, desk: _Desk) -> None:
        """Delete it for good, with its content."""
        await desk.purge(admin.room.id, admin.identity.user_id, file_id)


@asynccontextmanager
async def _locks_told(door: Door, access: Access) -> AsyncIterator[None]:
    """Answers a lock that is in the way with what the caller may know of it."""
    try:
        yield
    except LockTaken as taken:
        raise await taken_error(door, access.identity, taken) from taken
