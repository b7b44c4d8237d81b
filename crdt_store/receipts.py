"""How far users have got in chats: marks that only go up, and what is unread after them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Select, bindparam, func, literal_column, select, text, update

from crdt_store.places import in_chunks
from crdt_store.prepared import Prepared
from crdt_store.tables import UtcDateTime, chat_heads, messages, possible_id, receipts

_ROWS_PER_MARK = 1000  # of `message_reads`: for what is older than that many, the mark alone has to do

_OF_USER = receipts.c.chat_id == bindparam("chat"), receipts.c.user_id == bindparam("user")
_BEGIN = Prepared(
    text(
        "INSERT INTO receipts (chat_id, user_id, delivered_seq, read_seq, updated_at_ms)"
        " VALUES (:chat, :user, 0, 0, :now_ms) ON CONFLICT DO NOTHING"
    )
)
_MOVE = Prepared(
    update(receipts)
    .where(*_OF_USER)
    .values(
        delivered_seq=bindparam("delivered"), read_seq=bindparam("read"), updated_at_ms=bindparam("now_ms")
    )
)
_READ = text(
    "INSERT INTO message_reads (message_id, user_id, read_at) SELECT id, :user, :read_at FROM messages"
    " WHERE chat_id = :chat AND seq > :after AND seq <= :read AND sender_id <> :user AND NOT deleted"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("read_at", type_=UtcDateTime()))
_NOTICE_READS = Prepared(
    text(
        "UPDATE notifications SET read_at_ms = :now_ms WHERE user_id = :user AND read_at_ms IS NULL AND EXISTS"
        " (SELECT 1 FROM messages WHERE messages.id = notifications.message_id"
        " AND messages.chat_id = :chat AND messages.seq <= :read)"
    )
)
"""Who reads a chat has seen what it was notified of there."""


class Mark(NamedTuple):
    """What a user says to have got and read, at most; whoever has read has got it."""

    chat_id: int
    user_id: int
    delivered_seq: int = 0
    read_seq: int = 0


class Receipt(NamedTuple):
    """What the user has got and read: 0 <= read_seq <= delivered_seq <= the end of the chat."""

    chat_id: int
    user_id: int
    delivered_seq: int
    read_seq: int
    updated_at_ms: int


class Moved(NamedTuple):
    """A user's receipt before a mark and after it; the same where nothing moved."""

    before: Receipt
    after: Receipt


_FIELDS = [receipts.c[name] for name in Receipt._fields]


def mark(connection: Connection, marks: Iterable[Mark], now_ms: int) -> list[Moved]:
    """Move marks up, never down and never beyond the end of the chat; what became of all who were named, in order.

    Always by chat and user, so that two who mark at once do not wait for each other.
    """
    found: list[Moved] = []
    for chat_id, of_chat in groupby(sorted(marks), key=lambda each: each.chat_id):
        found += _mark_in_chat(connection, chat_id, _highest(of_chat), now_ms)
    return found


def receipts_of(connection: Connection, chat_id: int) -> list[Receipt]:
    """Of all who have one, by user id."""
    query = select(*_FIELDS).where(receipts.c.chat_id == chat_id).order_by(receipts.c.user_id)
    return [Receipt(*record) for record in connection.execute(query)]


def chats_of(connection: Connection, user_id: int, limit: int) -> list[int]:
    """Chats in which the user has a receipt, the latest used first; of those used at once the lowest first."""
    mine = select(receipts.c.chat_id).where(receipts.c.user_id == possible_id(user_id))
    query = mine.order_by(receipts.c.updated_at_ms.desc(), receipts.c.chat_id).limit(max(limit, 0))
    return list(connection.scalars(query))


def last_seqs(connection: Connection, chat_ids: Iterable[int]) -> dict[int, int]:
    """Where each of these chats ends; 0 where nobody has written."""
    found = dict.fromkeys(chat_ids, 0)
    for chunk in in_chunks(list(found)):
        query = select(chat_heads.c.chat_id, chat_heads.c.last_seq).where(chat_heads.c.chat_id.in_(chunk))
        found.update((chat_id, last_seq) for chat_id, last_seq in connection.execute(query))
    return found


def unread(connection: Connection, user_id: int, chat_ids: Iterable[int]) -> dict[int, int]:
    """How many messages each chat has after the user's mark: not deleted, not the user's own.

    There is no gap between seqs, so they need not be counted: only those that do not count are.
    """
    user_id = possible_id(user_id)
    found = dict.fromkeys(chat_ids, 0)
    if len(found) == 1:  # after every mark
        (chat_id,) = found
        for _, number in _UNREAD_IN_ONE.fetch(connection, {"user": user_id, "chat": chat_id}):
            found[chat_id] = number
        return found
    for chunk in in_chunks(list(found)):
        for record in connection.execute(_UNREAD_IN_MANY, {"user": user_id, "chats": chunk}):
            found[record[0]] = record[1]
    return found


def _unread() -> Select[int, int]:
    """(chat id, what is unread in it) of every chat in which somebody has written."""
    user_id = bindparam("user", type_=BigInteger)
    read_seq = func.coalesce(receipts.c.read_seq, literal_column("0"))
    after_mark = messages.c.chat_id == chat_heads.c.chat_id, messages.c.seq > read_seq
    count = select(func.count()).select_from(messages).where(*after_mark)
    own = count.where(messages.c.sender_id == user_id).scalar_subquery()
    gone = count.where(messages.c.deleted.is_(True), messages.c.sender_id != user_id).scalar_subquery()
    is_users = (receipts.c.chat_id == chat_heads.c.chat_id) & (receipts.c.user_id == user_id)
    query = select(chat_heads.c.chat_id, chat_heads.c.last_seq - read_seq - own - gone)
    return query.select_from(chat_heads).outerjoin(receipts, is_users)


_UNREAD_IN_ONE = Prepared(_unread().where(chat_heads.c.chat_id == bindparam("chat")))
_UNREAD_IN_MANY = _unread().where(chat_heads.c.chat_id.in_(bindparam("chats", expanding=True)))


def _highest(marks: Iterable[Mark]) -> dict[int, Mark]:
    """One mark for each user, in the order of users."""
    highest: dict[int, Mark] = {}
    for each in marks:
        known = highest.get(each.user_id, each)
        highest[each.user_id] = each._replace(
            delivered_seq=max(known.delivered_seq, each.delivered_seq, each.read_seq),
            read_seq=max(known.read_seq, each.read_seq),
        )
    return highest


def _mark_in_chat(
    connection: Connection, chat_id: int, wanted: Mapping[int, Mark], now_ms: int
) -> list[Moved]:
    last_seq = last_seqs(connection, [chat_id])[chat_id]
    before = _locked(connection, chat_id, [user for user, each in wanted.items() if last_seq > 0], now_ms)
    after = {
        user: old._replace(
            delivered_seq=max(old.delivered_seq, min(wanted[user].delivered_seq, last_seq)),
            read_seq=max(old.read_seq, min(wanted[user].read_seq, last_seq)),
        )
        for user, old in before.items()
    }
    moved = {user: new._replace(updated_at_ms=now_ms) for user, new in after.items() if new != before[user]}
    if moved:
        _MOVE.run(connection, [_parameters(new) for new in moved.values()])
    read = [
        (before[user].read_seq, new) for user, new in moved.items() if new.read_seq > before[user].read_seq
    ]
    if read:
        _note_reads(connection, read)
        _NOTICE_READS.run(connection, [_parameters(new) for _, new in read])
    nothing = {user: Receipt(chat_id, user, 0, 0, now_ms) for user in wanted.keys() - before.keys()}
    known = before | nothing
    return [Moved(known[user], moved.get(user, known[user])) for user in wanted]


def _locked(connection: Connection, chat_id: int, users: Sequence[int], now_ms: int) -> dict[int, Receipt]:
    """Their receipts, made if there are none, which nobody else moves before this transaction has ended."""
    found: dict[int, Receipt] = {}
    for chunk in in_chunks(users):
        _BEGIN.run(connection, [{"chat": chat_id, "user": user, "now_ms": now_ms} for user in chunk])
        query = select(*_FIELDS).where(receipts.c.chat_id == chat_id, receipts.c.user_id.in_(chunk))
        records = connection.execute(query.order_by(receipts.c.user_id).with_for_update())
        found |= {record.user_id: Receipt(*record) for record in records}
    return found


def _parameters(receipt: Receipt) -> dict[str, int]:
    return {
        "chat": receipt.chat_id,
        "user": receipt.user_id,
        "delivered": receipt.delivered_seq,
        "read": receipt.read_seq,
        "now_ms": receipt.updated_at_ms,
    }


def _note_reads(connection: Connection, moved: Sequence[tuple[int, Receipt]]) -> None:
    """Say of the messages between the old mark and the new one when they were read."""
    rows = [
        {
            "chat": new.chat_id,
            "user": new.user_id,
            "read": new.read_seq,
            "after": max(old_seq, new.read_seq - _ROWS_PER_MARK),
            "read_at": datetime.fromtimestamp(new.updated_at_ms / 1000, UTC),
        }
        for old_seq, new in moved
    ]
    connection.execute(_READ, rows)
