"""`/api/workspaces/{id}/files/{path}/content`: files as plain text, for programs without Yjs (docs/files.md)."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request, Response

from auth.grants import Action, Grant
from crdt_store.update_log import DocumentDamaged, LogUnavailable
from server.access.callers import Caller, Door, parse_room, require
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.documents.access import Access, recheck
from server.documents.service import Locked
from server.engine.document import EngineFailure
from server.files.conflict_desk import NoSuchConflict
from server.files.edits import BadEdits, edits_of
from server.files.models import (
    ConflictModel,
    ConflictPage,
    EditsRequest,
    HeldList,
    HeldModel,
    ResolveRequest,
    VersionModel,
    WrittenModel,
)
from server.files.offsets import BadOffset
from server.files.parts import Files
from server.files.text_diff import diff
from server.files.version import BadVersion, Version
from server.files.versions import UnknownVersion
from server.files.writing import FileExists, FileFull, Outcome
from server.rooms.names import RoomName
from server.rooms.room import RoomBusy
from server.rooms.room_manager import NoSuchRoom, RoomUnavailable
from server.settings import Settings

_CODES: dict[type[Exception], ErrorCode] = {
    NoSuchRoom: ErrorCode.NOT_FOUND,
    NoSuchConflict: ErrorCode.NOT_FOUND,
    UnknownVersion: ErrorCode.VERSION_UNKNOWN,
    FileExists: ErrorCode.VERSION_UNKNOWN,
    FileFull: ErrorCode.TOO_LARGE,
    Locked: ErrorCode.LOCKED,
    BadOffset: ErrorCode.INVALID_PARAMETER,
    BadEdits: ErrorCode.INVALID_PARAMETER,
    RoomBusy: ErrorCode.UNAVAILABLE,
    RoomUnavailable: ErrorCode.UNAVAILABLE,
    LogUnavailable: ErrorCode.UNAVAILABLE,
    DocumentDamaged: ErrorCode.UNAVAILABLE,
    EngineFailure: ErrorCode.UNAVAILABLE,
}
_INTERNAL = (LogUnavailable, DocumentDamaged, EngineFailure)
_MAX_ITEMS = 200
_FILE = "/workspaces/{id}/files/{path:path}"
_TEXT = "text/plain; charset=utf-8"

IfMatch = Annotated[str | None, Header(alias="If-Match")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]
ConflictId = Annotated[int, Path(gt=0, le=2**63 - 1)]


def add_file_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes; `app.state` has `doorkeeper` and `files` (Files) while the server serves."""
    add_error_handlers(app, _CODES, internal=_INTERNAL)
    router = APIRouter(prefix="/api", tags=["files"])
    _add_content_routes(router, settings)
    _add_conflict_routes(router, settings)
    _add_held_route(router, settings)
    app.include_router(router)


def _add_content_routes(router: APIRouter, settings: Settings) -> None:
    Reader = Annotated[Access, Depends(_access(settings, Action.READ))]  # noqa: N806 - a type
    Writer = Annotated[Access, Depends(_access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.get(f"{_FILE}/content", response_class=Response)
    async def read(reader: Reader, files: _Files, if_none_match: IfNoneMatch = None) -> Response:
        """The file's text. Its ETag is what a change of it is sent with."""
        state = await files.versions.newest(reader.room.canonical)
        headers = {"ETag": state.version.etag, "Cache-Control": "no-cache"}
        if {state.version.etag, "*"} & {tag.removeprefix("W/") for tag in _tags(if_none_match)}:
            return Response(status_code=304, headers=headers)
        return Response(state.text.encode(), media_type=_TEXT, headers=headers)

    @router.put(f"{_FILE}/content")
    async def replace(
        request: Request,
        response: Response,
        writer: Writer,
        door: Door,
        files: _Files,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> WrittenModel:
        """Make the text that was read this one; what others have changed since stays. Or create the file."""
        creates = if_match is None and if_none_match == "*"
        version = None if creates else _version_of(if_match)
        text = _text_of(await request.body())
        await recheck(door, settings, writer)
        room, author = writer.room, writer.identity.author
        if version is None:
            if not settings.create_files:
                raise ApiError(ErrorCode.NOT_FOUND, "files are not created here (create_files)")
            outcome = await files.create(room, author, text)
        else:
            outcome = await files.writer.write(room, author, version, lambda base: diff(base, text))
        return await _answer(files, outcome, response)

    @router.patch(f"{_FILE}/content")
    async def edit(
        body: EditsRequest,
        response: Response,
        writer: Writer,
        door: Door,
        files: _Files,
        if_match: IfMatch = None,
    ) -> WrittenModel:
        """Change parts of the text that was read."""
        version = _version_of(if_match)
        asked, unit = body.asked()
        await recheck(door, settings, writer)
        outcome = await files.writer.write(
            writer.room, writer.identity.author, version, lambda base: edits_of(base, asked, unit)
        )
        return await _answer(files, outcome, response)


def _add_conflict_routes(router: APIRouter, settings: Settings) -> None:
    Reader = Annotated[Access, Depends(_access(settings, Action.READ))]  # noqa: N806 - a type
    Writer = Annotated[Access, Depends(_access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.get(f"{_FILE}/conflicts")
    async def list_conflicts(
        reader: Reader,
        files: _Files,
        all_: Annotated[bool, Query(alias="all")] = False,
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_ITEMS)] = 50,
    ) -> ConflictPage:
        """Where changes of the file have met, newest first: those that nobody has resolved, or `all`."""
        found = await files.desk.list(reader.room, is_open=not all_, before=before, limit=limit + 1)
        items = [ConflictModel.of(each) for each in found[:limit]]
        return ConflictPage(items=items, next_before=items[-1].id if len(found) > limit else None)

    @router.post(f"{_FILE}/conflicts/{{conflict_id}}")
    async def resolve(
        body: ResolveRequest, writer: Writer, door: Door, files: _Files, conflict_id: ConflictId
    ) -> VersionModel:
        """Say which text is to be there."""
        await recheck(door, settings, writer)
        version = await files.desk.resolve(writer.room, writer.identity.author, conflict_id, body.choice)
        return VersionModel(version=str(version))


def _add_held_route(router: APIRouter, settings: Settings) -> None:
    Writer = Annotated[Access, Depends(_access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.get(f"{_FILE}/held")
    async def list_held(writer: Writer, door: Door, files: _Files) -> HeldList:
        """What waits for the end of locks on the file: the caller's own; for whoever may end them, everybody's."""
        user_id = writer.identity.user_id
        role = await door.role_in(writer.identity, writer.room)
        found = await files.held_back.authors_of(writer.room)
        if not Grant(role).allows(Action.FORCE_UNLOCK):
            found = [each for each in found if each.author_id == user_id]
        items = [
            HeldModel.of(each, files.held_back.lock_against(writer.room, each.author_id)) for each in found
        ]
        return HeldList(items=items)


async def _answer(files: Files, outcome: Outcome, response: Response) -> WrittenModel:
    conflict_ids = await files.desk.keep(outcome)
    response.headers["ETag"] = outcome.state.version.etag
    return WrittenModel.of(outcome, conflict_ids)


def _files_of(request: Request) -> Files:
    files: Files = request.app.state.files
    return files


_Files = Annotated[Files, Depends(_files_of)]


def _access(settings: Settings, action: Action) -> Callable[[Caller, Door, str, str], Awaitable[Access]]:
    """A dependency that lets through who may do `action` to the file of the path. Raises ApiError."""

    async def check(
        caller: Caller, door: Door, number: Annotated[str, Path(alias="id")], path: str
    ) -> Access:
        name: RoomName = parse_room(f"workspace:{number}/{path}", settings.plain_names_workspace_id)
        await require(door, caller, name, action)
        return Access(name, caller, action)

    return check


def _tags(header: str | None) -> list[str]:
    return [] if header is None else [tag.strip() for tag in header.split(",")]


def _version_of(if_match: str | None) -> Version:
    """Raises ApiError."""
    tags = _tags(if_match)
    if not tags or tags == ["*"]:
        reason = (
            "If-Match: name the version that was read and changed; to create a file, send If-None-Match: *"
        )
        raise ApiError(ErrorCode.VERSION_MISSING, reason)
    if len(tags) > 1:
        raise ApiError(ErrorCode.INVALID_PARAMETER, "If-Match: names more than one version")
    try:
        return Version.parse(tags[0].removeprefix('"').removesuffix('"'))
    except BadVersion as error:
        raise ApiError(ErrorCode.VERSION_UNKNOWN, f"If-Match: {error}") from error


def _text_of(body: bytes) -> str:
    """Raises ApiError."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"the body is not UTF-8: {error.reason}") from error
