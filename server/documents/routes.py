"""Documents as a whole, over HTTP (docs/documents.md)."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel

from auth.grants import Action
from crdt_store.compaction import CondenseFailed
from crdt_store.stale_updates import StaleUpdate
from crdt_store.update_log import DocumentDamaged, LogUnavailable, Quarantined
from server.access.callers import Door
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.documents.access import Access, access, recheck
from server.documents.service import (
    Documents,
    KeptByRules,
    Locked,
    NoSuchUpdate,
    UpdateContradicts,
    UpdateRefused,
)
from server.engine.document import EngineFailure
from server.protocol.update_shape import MalformedUpdate
from server.rooms.room import RoomBusy, UpdateIncomplete
from server.rooms.room_manager import NoSuchRoom, RoomUnavailable
from server.rooms.runs import BudgetExceeded
from server.settings import Settings

_BINARY = "application/octet-stream"
_MAX_ID_DIGITS = 18  # what a database's integers hold
_CODES: dict[type[Exception], ErrorCode] = {
    NoSuchRoom: ErrorCode.NOT_FOUND,
    NoSuchUpdate: ErrorCode.NOT_FOUND,
    KeptByRules: ErrorCode.KEPT_BY_RULES,
    Locked: ErrorCode.LOCKED,
    UpdateRefused: ErrorCode.MALFORMED_UPDATE,
    MalformedUpdate: ErrorCode.MALFORMED_UPDATE,
    UpdateContradicts: ErrorCode.UPDATE_CONTRADICTS,
    UpdateIncomplete: ErrorCode.UPDATE_INCOMPLETE,
    RoomBusy: ErrorCode.UNAVAILABLE,
    RoomUnavailable: ErrorCode.UNAVAILABLE,
    LogUnavailable: ErrorCode.UNAVAILABLE,
    DocumentDamaged: ErrorCode.UNAVAILABLE,
    CondenseFailed: ErrorCode.UNAVAILABLE,
    EngineFailure: ErrorCode.UNAVAILABLE,
    BudgetExceeded: ErrorCode.BUDGET_EXCEEDED,
}
_INTERNAL = (LogUnavailable, DocumentDamaged, EngineFailure)


class DocumentModel(BaseModel):
    """`last_seq` is the number of its newest row, counted on from epoch to epoch.

    Rows up to `compacted_seq` are not read any more: a snapshot of `snapshot_bytes` stands for those of this epoch.
    There is none, of 0 bytes, as long as all of them belong to earlier ones.
    """

    room: str
    epoch: int
    last_seq: int
    compacted_seq: int
    snapshot_bytes: int


class EpochModel(BaseModel):
    """The epoch that has begun."""

    epoch: int


class StaleUpdateModel(BaseModel):
    """What a client of an earlier epoch wanted to bring."""

    id: int
    author_id: int | None
    received_at_ms: int
    size_bytes: int

    @classmethod
    def of(cls, stale: StaleUpdate) -> Self:
        return cls(
            id=stale.id,
            author_id=stale.author_id,
            received_at_ms=stale.received_at_ms,
            size_bytes=stale.size_bytes,
        )


class QuarantinedModel(BaseModel):
    """A stored update that could not be applied; `position` -1 stands for its whole row."""

    seq: int
    position: int
    error: str
    size_bytes: int
    found_at_ms: int

    @classmethod
    def of(cls, entry: Quarantined) -> Self:
        return cls(
            seq=entry.seq,
            position=entry.position,
            error=entry.error,
            size_bytes=len(entry.data),
            found_at_ms=entry.found_at_ms,
        )


def add_document_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes; `app.state` has `documents` while the server serves.

    They come before all others of the app, and bring the handlers of its errors.
    """
    add_error_handlers(app, _CODES, internal=_INTERNAL)
    # A room may hold slashes, and so may end like any path. Whatever else a path says stands in front, in a fixed
    # number of segments, and the room is all the rest: no path can be read in two ways.
    router = APIRouter(prefix="/api")
    Reader = Annotated[Access, Depends(access(settings, Action.READ))]  # noqa: N806 - a type
    Admin = Annotated[Access, Depends(access(settings, Action.REPLACE))]  # noqa: N806 - a type
    StaleId = Annotated[int, Depends(_stale_id)]  # noqa: N806 - a type

    @router.get("/documents/{room:path}")
    async def describe(request: Request, reader: Reader) -> DocumentModel:
        """What is stored of the document."""
        info = await _documents(request).describe(reader.room)
        return DocumentModel(
            room=reader.room.canonical,
            epoch=info.epoch,
            last_seq=info.last_seq,
            compacted_seq=info.compacted_seq,
            snapshot_bytes=info.snapshot_bytes,
        )

    @router.delete("/documents/{room:path}", status_code=204)
    async def delete(request: Request, admin: Admin) -> None:
        """Remove the document and its history for good; written again it begins a new epoch."""
        await _documents(request).delete(admin.room, admin.identity.user_id)

    @router.get("/copies/{room:path}", response_class=Response)
    async def export(request: Request, reader: Reader) -> Response:
        """All of the document as one Yjs update: a copy to keep."""
        return Response(await _documents(request).export(reader.room), media_type=_BINARY)

    @router.put("/copies/{room:path}")
    async def replace(request: Request, admin: Admin, door: Door) -> EpochModel:
        """Begin a new epoch, in which this Yjs update is all that the document holds."""
        update = await _body(request, settings.max_message_bytes)
        await recheck(door, settings, admin)
        return EpochModel(epoch=await _documents(request).replace(admin.room, update, admin.identity.author))

    @router.get("/stale-updates/{room:path}")
    async def stale_updates(request: Request, admin: Admin) -> list[StaleUpdateModel]:
        """What clients of earlier epochs wanted to bring, and is kept aside."""
        return [StaleUpdateModel.of(stale) for stale in await _documents(request).stale_updates(admin.room)]

    @router.get("/stale-update/{stale_id}/{room:path}", response_class=Response)
    async def stale_update(request: Request, admin: Admin, stale_id: StaleId) -> Response:
        """One of them, as a Yjs update."""
        return Response(await _documents(request).stale_update(admin.room, stale_id), media_type=_BINARY)

    @router.post("/stale-update/{stale_id}/{room:path}", status_code=204)
    async def merge(request: Request, admin: Admin, stale_id: StaleId) -> None:
        """Merge it into the document."""
        await _documents(request).merge_stale(admin.room, stale_id, admin.identity.author)

    @router.delete("/stale-update/{stale_id}/{room:path}", status_code=204)
    async def discard(request: Request, admin: Admin, stale_id: StaleId) -> None:
        """Discard it."""
        await _documents(request).discard_stale(admin.room, stale_id)

    @router.get("/quarantine/{room:path}")
    async def quarantine(request: Request, admin: Admin) -> list[QuarantinedModel]:
        """Stored updates that are no part of the document, since they could not be applied."""
        return [QuarantinedModel.of(entry) for entry in await _documents(request).quarantined(admin.room)]

    app.include_router(router)


def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents


def _stale_id(stale_id: str) -> int:
    if not (stale_id.isascii() and stale_id.isdecimal() and len(stale_id) <= _MAX_ID_DIGITS):
        raise ApiError(ErrorCode.NOT_FOUND, f"no stale update {stale_id}")
    return int(stale_id)


async def _body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise ApiError(ErrorCode.TOO_LARGE, f"more than {max_bytes} bytes (max_message_bytes)")
    return bytes(body)
