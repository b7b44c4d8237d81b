"""`/api/documents/{room}/history`: what it was, who wrote what of it, taking it back (docs/history.md)."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Response

from auth.grants import Action
from crdt_store.document_versions import NameTaken, TooManyVersions
from crdt_store.update_log import DocumentDamaged, LogUnavailable
from server.access.callers import Door
from server.api_errors import ErrorCode, add_error_handlers
from server.documents.access import Access, access, recheck
from server.documents.service import KeptByRules, Locked
from server.engine.document import EngineFailure
from server.history.answers import ROOT
from server.history.changes import BadMoment
from server.history.desk import NoSuchVersion
from server.history.models import (
    MAX_LISTED,
    BlamePage,
    DiffModel,
    Form,
    HistoryPage,
    NewVersionRequest,
    RenameRequest,
    RestoreRequest,
    RevertRequest,
    TurnedBackModel,
    VersionModel,
    page_of,
)
from server.history.reached import Past
from server.history.workshop import TooMuchWork
from server.rooms.room import RoomBusy
from server.rooms.room_manager import NoSuchRoom, RoomUnavailable
from server.settings import Settings

_CODES: dict[type[Exception], ErrorCode] = {
    NoSuchRoom: ErrorCode.NOT_FOUND,
    NoSuchVersion: ErrorCode.NOT_FOUND,
    BadMoment: ErrorCode.INVALID_PARAMETER,
    NameTaken: ErrorCode.NAME_TAKEN,
    TooManyVersions: ErrorCode.TOO_LARGE,
    TooMuchWork: ErrorCode.TOO_LARGE,
    KeptByRules: ErrorCode.KEPT_BY_RULES,
    Locked: ErrorCode.LOCKED,
    RoomBusy: ErrorCode.UNAVAILABLE,
    RoomUnavailable: ErrorCode.UNAVAILABLE,
    LogUnavailable: ErrorCode.UNAVAILABLE,
    DocumentDamaged: ErrorCode.UNAVAILABLE,
    EngineFailure: ErrorCode.UNAVAILABLE,
}
_INTERNAL = (LogUnavailable, DocumentDamaged, EngineFailure)
_DOCUMENT = "/documents/{room:path}"

At = Annotated[str | None, Query(max_length=64)]
Root = Annotated[str, Query(max_length=200)]
VersionId = Annotated[int, Path(gt=0, le=2**63 - 1)]


def add_history_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes, before those of documents; `app.state` has `history` (History) while the server serves."""
    add_error_handlers(app, _CODES, internal=_INTERNAL)
    router = APIRouter(prefix="/api", tags=["history"])
    _add_reading_routes(router, settings)
    _add_version_routes(router, settings)
    _add_turning_routes(router, settings)
    app.include_router(router)


def _add_reading_routes(router: APIRouter, settings: Settings) -> None:
    Writer = Annotated[Access, Depends(access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.get(f"{_DOCUMENT}/history")
    async def history(
        writer: Writer,
        past: Past,
        at: At = None,
        form: Annotated[Form, Query(alias="format")] = Form.TEXT,
        root: Root = ROOT,
        before: Annotated[int | None, Query(gt=0, le=2**63 - 1)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 100,
    ) -> HistoryPage:
        """Who wrote when, and how much. With `at`: the document as it was then."""
        if at is None:
            return page_of(await past.entries(writer.room, before=before, limit=limit + 1), limit)
        if form is Form.UPDATE:
            update = await past.update(writer.room, at)
            return Response(update, media_type="application/octet-stream")  # type: ignore[return-value]
        text = await past.text(writer.room, at, root)
        return Response(text.encode(), media_type="text/plain; charset=utf-8")  # type: ignore[return-value]

    @router.get(f"{_DOCUMENT}/blame")
    async def blame(writer: Writer, past: Past, at: At = None, root: Root = ROOT) -> BlamePage:
        """Who wrote what of the text."""
        return BlamePage.of(await past.blame(writer.room, at, root))

    @router.get(f"{_DOCUMENT}/diff")
    async def diff(
        writer: Writer,
        past: Past,
        before: Annotated[str, Query(alias="from", max_length=64)],
        after: Annotated[str | None, Query(alias="to", max_length=64)] = None,
        root: Root = ROOT,
    ) -> DiffModel:
        """What has changed of the text between two moments; up to now, if only one is given."""
        return DiffModel.of(await past.compare(writer.room, before, after, root))


def _add_version_routes(router: APIRouter, settings: Settings) -> None:
    Writer = Annotated[Access, Depends(access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.get(f"{_DOCUMENT}/versions")
    async def versions(writer: Writer, past: Past) -> list[VersionModel]:
        """The moments that have a name, newest first."""
        return [VersionModel.of(version) for version in await past.versions(writer.room)]

    @router.post(f"{_DOCUMENT}/versions", status_code=201)
    async def add_version(body: NewVersionRequest, writer: Writer, door: Door, past: Past) -> VersionModel:
        """Give a moment a name."""
        await recheck(door, settings, writer)
        user_id = writer.identity.user_id
        return VersionModel.of(await past.add_version(writer.room, body.name, body.at, user_id))

    @router.patch(f"{_DOCUMENT}/versions/{{version_id}}")
    async def rename_version(
        version_id: VersionId, body: RenameRequest, writer: Writer, door: Door, past: Past
    ) -> VersionModel:
        """Give it another name."""
        await recheck(door, settings, writer)
        return VersionModel.of(await past.rename_version(writer.room, version_id, body.name))

    @router.delete(f"{_DOCUMENT}/versions/{{version_id}}", status_code=204)
    async def remove_version(version_id: VersionId, writer: Writer, past: Past) -> None:
        """Forget the name; the moment stays."""
        await past.remove_version(writer.room, version_id)


def _add_turning_routes(router: APIRouter, settings: Settings) -> None:
    Writer = Annotated[Access, Depends(access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.post(f"{_DOCUMENT}/restore")
    async def restore(body: RestoreRequest, writer: Writer, door: Door, past: Past) -> TurnedBackModel:
        """Make the document what it was, by an edit that all see."""
        await recheck(door, settings, writer)
        return TurnedBackModel(changed=await past.restore(writer.room, body.at, writer.identity.author))

    @router.post(f"{_DOCUMENT}/revert")
    async def revert(body: RevertRequest, writer: Writer, door: Door, past: Past) -> TurnedBackModel:
        """Take back what one user has written since a moment; what others wrote stays."""
        await recheck(door, settings, writer)
        changed = await past.revert(writer.room, body.user_id, body.since, writer.identity.author)
        return TurnedBackModel(changed=changed)
