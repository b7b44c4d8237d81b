"""`/api/documents/{room}`: documents as a whole, over HTTP."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Self

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel

from auth.grants import Action
from auth.tokens import TokenIssuer
from crdt_store.compaction import CondenseFailed
from crdt_store.stale_updates import StaleUpdate
from crdt_store.update_log import DocumentDamaged, LogUnavailable, Quarantined
from server.api_errors import ApiError, ErrorCode, add_error_handler
from server.documents.access import Access, access
from server.documents.service import Documents, NoSuchUpdate, UpdateRefused
from server.protocol.update_shape import MalformedUpdate
from server.rooms.room import RoomBusy, UpdateIncomplete
from server.rooms.room_manager import NoSuchRoom, RoomUnavailable
from server.settings import Settings

logger = logging.getLogger(__name__)

_BINARY = "application/octet-stream"
_MAX_ID_DIGITS = 18  # what a database's integers hold
_CODES: dict[type[Exception], ErrorCode] = {
    NoSuchRoom: ErrorCode.NOT_FOUND,
    NoSuchUpdate: ErrorCode.NOT_FOUND,
    UpdateRefused: ErrorCode.MALFORMED_UPDATE,
    MalformedUpdate: ErrorCode.MALFORMED_UPDATE,
    UpdateIncomplete: ErrorCode.UPDATE_INCOMPLETE,
    RoomBusy: ErrorCode.UNAVAILABLE,
    RoomUnavailable: ErrorCode.UNAVAILABLE,
    LogUnavailable: ErrorCode.UNAVAILABLE,
    DocumentDamaged: ErrorCode.UNAVAILABLE,
    CondenseFailed: ErrorCode.UNAVAILABLE,
}


class DocumentModel(BaseModel):
    """`last_seq` counts the rows of its log; a snapshot of `snapshot_bytes` stands for those to `compacted_seq`."""

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


def add_document_routes(app: FastAPI, settings: Settings, tokens: TokenIssuer) -> None:
    """Add the routes; `app.state` has `documents` and `users` while the server serves."""
    StaleId = Annotated[int, Depends(_stale_id)]  # noqa: N806 - a type
    router = APIRouter(prefix="/api/documents/{room:path}")
    Reader = Annotated[Access, Depends(access(settings, tokens, Action.READ))]  # noqa: N806 - a type
    Admin = Annotated[Access, Depends(access(settings, tokens, Action.REPLACE))]  # noqa: N806 - a type

    @router.get("/update", response_class=Response)
    async def export(request: Request, reader: Reader) -> Response:
        """All of the document as one Yjs update: a copy to keep."""
        with _errors():
            return Response(await _documents(request).export(reader.room), media_type=_BINARY)

    @router.put("/update")
    async def replace(request: Request, admin: Admin) -> EpochModel:
        """Begin a new epoch, in which this Yjs update is all that the document holds."""
        update = await _body(request, settings.max_message_bytes)
        with _errors():
            user_id = await _user_id(request, admin)
            return EpochModel(epoch=await _documents(request).replace(admin.room, update, user_id))

    @router.get("/stale-updates")
    async def stale_updates(request: Request, admin: Admin) -> list[StaleUpdateModel]:
        """What clients of earlier epochs wanted to bring, and is kept aside."""
        with _errors():
            return [StaleUpdateModel.of(s) for s in await _documents(request).stale_updates(admin.room)]

    @router.get("/stale-updates/{stale_id}", response_class=Response)
    async def stale_update(request: Request, admin: Admin, stale_id: StaleId) -> Response:
        """One of them, as a Yjs update."""
        with _errors():
            data = await _documents(request).stale_update(admin.room, stale_id)
            return Response(data, media_type=_BINARY)

    @router.post("/stale-updates/{stale_id}/merge", status_code=204)
    async def merge(request: Request, admin: Admin, stale_id: StaleId) -> None:
        """Merge it into the document."""
        with _errors():
            user_id = await _user_id(request, admin)
            await _documents(request).merge_stale(admin.room, stale_id, user_id)

    @router.delete("/stale-updates/{stale_id}", status_code=204)
    async def discard(request: Request, admin: Admin, stale_id: StaleId) -> None:
        """Discard it."""
        with _errors():
            await _documents(request).discard_stale(admin.room, stale_id)

    @router.get("/quarantine")
    async def quarantine(request: Request, admin: Admin) -> list[QuarantinedModel]:
        """Stored updates that are no part of the document, since they could not be applied."""
        with _errors():
            return [QuarantinedModel.of(e) for e in await _documents(request).quarantined(admin.room)]

    @router.get("")
    async def describe(request: Request, reader: Reader) -> DocumentModel:
        """What is stored of the document."""
        with _errors():
            info = await _documents(request).describe(reader.room)
        return DocumentModel(
            room=reader.room.canonical,
            epoch=info.epoch,
            last_seq=info.last_seq,
            compacted_seq=info.compacted_seq,
            snapshot_bytes=info.snapshot_bytes,
        )

    @router.delete("", status_code=204)
    async def delete(request: Request, admin: Admin) -> None:
        """Remove the document and its history for good; written again it begins a new epoch."""
        with _errors():
            await _documents(request).delete(admin.room)

    app.include_router(router)
    add_error_handler(app)


def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents


def _stale_id(stale_id: str) -> int:
    if not (stale_id.isascii() and stale_id.isdecimal() and len(stale_id) <= _MAX_ID_DIGITS):
        raise ApiError(ErrorCode.NOT_FOUND, f"no stale update {stale_id}")
    return int(stale_id)


async def _user_id(request: Request, who: Access) -> int:
    principal = who.principal
    user_id: int = await request.app.state.users.id_of(principal.issuer, principal.subject, principal.name)
    return user_id


async def _body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise ApiError(ErrorCode.TOO_LARGE, f"more than {max_bytes} bytes (max_message_bytes)")
    return bytes(body)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except tuple(_CODES) as error:
        code = next(code for kind, code in _CODES.items() if isinstance(error, kind))
        reason = str(error)
        if not reason or isinstance(error, LogUnavailable | DocumentDamaged):
            logger.warning(
                "%s: %s", type(error).__name__, reason
            )  # the store's own words are not for clients
            reason = code.meaning
        raise ApiError(code, reason) from error
