"""Chats as the API shows them; times are ISO 8601, as in the events."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from crdt_store.messages import Receipt, StoredMessage
from server.access.texts import Body
from server.chat.told import iso

_MAX_SEQ = 2**53 - 1  # what JavaScript can count to


class MessageModel(BaseModel):
    """`id` is the sender's own, `seq` the place in the chat. Of a deleted message the body is empty.

    `agent`: name and run of the program that wrote it, if it was one.
    """

    chat_id: int
    id: str
    seq: int
    sender_id: int
    body: str
    reply_to: str | None
    mentions: list[int]
    sent_at: str | None
    server_time: str
    edited_at: str | None
    deleted: bool
    agent: dict[str, str] | None = None

    @classmethod
    def of(cls, message: StoredMessage) -> Self:
        return cls(
            chat_id=message.chat_id,
            id=message.uuid,
            seq=message.seq,
            sender_id=message.sender_id,
            body=message.body,
            reply_to=message.reply_to,
            mentions=list(message.mentions),
            sent_at=message.sent_at or None,
            server_time=iso(message.server_time_ms),
            edited_at=None if message.edited_at_ms is None else iso(message.edited_at_ms),
            deleted=message.deleted,
            agent=None if message.agent is None else dict(message.agent),
        )


class MessagePage(BaseModel):
    """Newest first. `next_before` is the `before` to ask for older ones with; null: there are none."""

    items: list[MessageModel]
    next_before: int | None


class FoundPage(MessagePage):
    """What was found. Not `complete`: the caller has more chats than were looked through."""

    complete: bool


class ReadRequest(Body):
    """All messages up to this one have been read."""

    seq: Annotated[int, Field(ge=0, le=_MAX_SEQ)]


class ReceiptModel(BaseModel):
    """How far a user has got: everything up to these messages was delivered, and read."""

    user_id: int
    delivered_seq: int
    read_seq: int
    updated_at: str

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        return cls(
            user_id=receipt.user_id,
            delivered_seq=receipt.delivered_seq,
            read_seq=receipt.read_seq,
            updated_at=iso(receipt.updated_at_ms),
        )


class ReceiptList(BaseModel):
    """Of everybody who has one, by user id."""

    items: list[ReceiptModel]


class UnreadModel(BaseModel):
    """Messages of others after the caller's read mark; those that are deleted do not count."""

    chat_id: int
    unread: int


class UnreadList(BaseModel):
    """By chat. Not `complete`: the caller has more chats; ask for those with `chats`."""

    items: list[UnreadModel]
    complete: bool


class ReadModel(UnreadModel):
    """The caller's receipt, and what is left to read."""

    receipt: ReceiptModel
