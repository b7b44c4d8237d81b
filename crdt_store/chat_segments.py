"""Which part of a thread is in which of its closed documents, and where a message is to be found."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from crdt_store.message_rows import COLUMNS, StoredMessage, storable, stored_message
from crdt_store.places import in_chunks
from crdt_store.tables import chat_segments, messages


class Segment(NamedTuple):
    """The messages from `first_seq` to `last_seq` are in the document of this number.

    Those from `next_first_seq` on are in the next document too, where they live on.
    """

    number: int
    first_seq: int
    last_seq: int
    next_first_seq: int


_COLUMNS = [chat_segments.c[name] for name in Segment._fields]


def close_segment(connection: Connection, chat_id: int, segment: Segment) -> None:
    """A part of the thread has got a document of its own, in place of what had this number before."""
    key = chat_segments.c.chat_id == chat_id, chat_segments.c.number == segment.number
    connection.execute(delete(chat_segments).where(*key))
    connection.execute(insert(chat_segments), {"chat_id": chat_id, **segment._asdict()})


def segment_of(connection: Connection, chat_id: int, number: int) -> Segment | None:
    """The segment of this number."""
    query = select(*_COLUMNS).where(chat_segments.c.chat_id == chat_id, chat_segments.c.number == number)
    record = connection.execute(query).one_or_none()
    return None if record is None else Segment(*record)


def newest_segments(connection: Connection, chat_id: int, limit: int) -> list[Segment]:
    """Those that were closed last, the newest first."""
    query = select(*_COLUMNS).where(chat_segments.c.chat_id == chat_id)
    found = connection.execute(query.order_by(chat_segments.c.number.desc()).limit(limit))
    return [Segment(*record) for record in found]


def segment_with(connection: Connection, chat_id: int, seq: int) -> Segment | None:
    """The one in which the message of this seq lives on; None: it does in the document that is not closed."""
    query = select(*_COLUMNS).where(chat_segments.c.chat_id == chat_id, chat_segments.c.first_seq <= seq)
    record = connection.execute(query.order_by(chat_segments.c.number.desc()).limit(1)).one_or_none()
    segment = None if record is None else Segment(*record)
    return segment if segment is not None and seq < segment.next_first_seq else None


def read_range(
    connection: Connection, chat_id: int, first_seq: int, last_seq: int | None, limit: int
) -> list[StoredMessage]:
    """The newest messages of a range, in the order of `seq`; no `last_seq`: up to the end."""
    query = select(*COLUMNS).where(messages.c.chat_id == chat_id, messages.c.seq >= first_seq)
    if last_seq is not None:
        query = query.where(messages.c.seq <= last_seq)
    found = connection.execute(query.order_by(messages.c.seq.desc()).limit(limit))
    return [stored_message(record) for record in found][::-1]


def read_seqs(connection: Connection, chat_id: int, seqs: Sequence[int]) -> list[StoredMessage]:
    """The messages of these seqs, in their order."""
    found: list[StoredMessage] = []
    for chunk in in_chunks(sorted(seqs)):
        query = select(*COLUMNS).where(messages.c.chat_id == chat_id, messages.c.seq.in_(chunk))
        found += [stored_message(record) for record in connection.execute(query.order_by(messages.c.seq))]
    return found


def newest_seq_of(connection: Connection, chat_id: int, uuid: str, sender_id: int | None) -> int | None:
    """Of the message of this uuid; of the newest one where no sender is named."""
    query = select(func.max(messages.c.seq)).where(
        messages.c.chat_id == chat_id, messages.c.uuid == storable(uuid)
    )
    if sender_id is not None:
        query = query.where(messages.c.sender_id == sender_id)
    found: int | None = connection.scalar(query)
    return found
