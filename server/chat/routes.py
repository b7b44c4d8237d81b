"""Messages over HTTP: read, marked as read, counted and searched. They are written in the chat's document."""

from collections.abc import Sequence
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request

from crdt_store.message_rows import MAX_UUID_CHARACTERS
from crdt_store.messages import Messages, Receipt, StoredMessage
from crdt_store.tables import MAX_ID
from crdt_store.update_log import LogUnavailable
from server.access.callers import Caller, Door
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.chat.rest_chats import (
    ChatReader,
    chats_of_project,
    one_chat,
    own_chats,
    readable_chats,
)
from server.chat.rest_models import (
    FoundPage,
    MessageModel,
    MessagePage,
    ReadModel,
    ReadRequest,
    ReceiptList,
    ReceiptModel,
    UnreadList,
    UnreadModel,
)
from server.projects.pages import MAX_PAGE_ITEMS
from server.rooms.names import RoomName

_MAX_QUERY_CHARACTERS = 1000
_MAX_CHAT_ID = 10**18 - 1  # what a room's name can hold
_CHAT_ID = "[1-9][0-9]{0,17}"
_CHAT_IDS = f"^{_CHAT_ID}(,{_CHAT_ID}){{0,{MAX_PAGE_ITEMS - 1}}}$"


class ReadMarks(Protocol):
    """Who stores marks, and tells everybody of them."""

    async def mark(
        self, user_id: int, name: RoomName, *, read_seq: int = 0, delivered_seq: int = 0
    ) -> Receipt:
        """How far the user has got, once that is stored. Raises LogUnavailable."""


def _messages_of(request: Request) -> Messages:
    messages: Messages = request.app.state.messages
    return messages


def _marks_of(request: Request) -> ReadMarks:
    marks: ReadMarks = request.app.state.chats
    return marks


_Messages = Annotated[Messages, Depends(_messages_of)]
_Marks = Annotated[ReadMarks, Depends(_marks_of)]
_Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_ITEMS)]
_Before = Annotated[int | None, Query(ge=1)]
_Id = Annotated[int | None, Query(ge=1, le=MAX_ID)]


def add_chat_routes(app: FastAPI) -> None:
    """Add the routes; `app.state` has `doorkeeper`, `messages` and `chats` (ReadMarks) while the server serves."""
    add_error_handlers(app, {LogUnavailable: ErrorCode.UNAVAILABLE}, internal=(LogUnavailable,))
    router = APIRouter(prefix="/api", tags=["chats"])
    _add_message_routes(router)
    _add_read_routes(router)
    _add_routes_of_many(router)
    app.include_router(router)


def _add_message_routes(router: APIRouter) -> None:
    @router.get("/chats/{id}/messages")
    async def list_messages(
        reader: ChatReader, messages: _Messages, limit: _Limit = 50, before: _Before = None
    ) -> MessagePage:
        """The newest messages, or those with a `seq` below `before`."""
        found = await messages.page(reader.room.id, before=before, limit=limit + 1)
        items, has_more = _page(found, limit)
        return MessagePage(items=items, next_before=items[-1].seq if has_more else None)

    @router.get("/chats/{id}/messages/{message_id}")
    async def show_message(
        message_id: Annotated[str, Path(max_length=MAX_UUID_CHARACTERS)],
        reader: ChatReader,
        messages: _Messages,
        sender_id: _Id = None,
    ) -> MessageModel:
        """One message: its sender's, or, if none is named, the caller's own of this id."""
        sender_id = reader.user_id if sender_id is None else sender_id
        found = await messages.message(reader.room.id, message_id, sender_id)
        if found is None:
            raise ApiError(
                ErrorCode.NOT_FOUND, f"user {sender_id} has no message {message_id!r} in {reader.room}"
            )
        return MessageModel.of(found)


def _add_read_routes(router: APIRouter) -> None:
    @router.get("/chats/{id}/receipts")
    async def list_receipts(reader: ChatReader, messages: _Messages) -> ReceiptList:
        """How far everybody has got."""
        found = await messages.receipts(reader.room.id)
        return ReceiptList(items=[ReceiptModel.of(receipt) for receipt in found])

    @router.put("/chats/{id}/read")
    async def mark_read(
        body: ReadRequest, reader: ChatReader, messages: _Messages, marks: _Marks
    ) -> ReadModel:
        """Say that the caller has read everything up to a message. A mark only goes up."""
        receipt = await marks.mark(reader.user_id, reader.room, read_seq=body.seq)
        unread = await messages.unread(reader.user_id, [reader.room.id])
        return ReadModel(
            chat_id=reader.room.id, unread=unread[reader.room.id], receipt=ReceiptModel.of(receipt)
        )

    @router.get("/chats/{id}/unread")
    async def count_unread_of_chat(reader: ChatReader, messages: _Messages) -> UnreadModel:
        """What the caller has not read yet."""
        unread = await messages.unread(reader.user_id, [reader.room.id])
        return UnreadModel(chat_id=reader.room.id, unread=unread[reader.room.id])


def _add_routes_of_many(router: APIRouter) -> None:
    @router.get("/unread")
    async def count_unread(
        caller: Caller,
        door: Door,
        messages: _Messages,
        chats: Annotated[
            str | None, Query(pattern=_CHAT_IDS, description="ids with commas between them")
        ] = None,
    ) -> UnreadList:
        """What the caller has not read yet, in the chats that are named, or in all that are the caller's."""
        if chats is None:
            found = await own_chats(door, caller, messages)
        else:
            found = await readable_chats(door, caller, map(int, chats.split(",")))
        unread = await messages.unread(caller.user_id, found.ids)
        items = [UnreadModel(chat_id=chat_id, unread=unread[chat_id]) for chat_id in sorted(found.ids)]
        return UnreadList(items=items, complete=found.complete)

    @router.get("/search/messages")
    async def search_messages(
        q: Annotated[str, Query(min_length=1, max_length=_MAX_QUERY_CHARACTERS)],
        caller: Caller,
        door: Door,
        messages: _Messages,
        chat: Annotated[int | None, Query(ge=1, le=_MAX_CHAT_ID)] = None,
        project: _Id = None,
        limit: _Limit = 50,
        before: _Before = None,
    ) -> FoundPage:
        """Messages with all these words, the last of which may be unfinished; without chat or project in all that are
        the caller's.
        """
        if chat is not None and project is not None:
            raise ApiError(ErrorCode.INVALID_PARAMETER, "query: chat or project, not both")
        if chat is not None:
            chats = await one_chat(door, caller, chat)
        elif project is not None:
            chats = await chats_of_project(door, caller, project)
        else:
            chats = await own_chats(door, caller, messages)
        found = await messages.search(q, chats.ids, limit + 1, before)
        items, has_more = _page(found, limit)
        next_before = found[limit - 1].id if has_more else None
        return FoundPage(items=items, next_before=next_before, complete=chats.complete)


def _page(found: Sequence[StoredMessage], limit: int) -> tuple[list[MessageModel], bool]:
    """The page's items, and whether one more than these was found."""
    return [MessageModel.of(message) for message in found[:limit]], len(found) > limit
