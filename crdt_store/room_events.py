"""What happened in a room, numbered, for clients that come back: so many of the last ones as are kept."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from crdt_store.message_rows import bounded, storable
from crdt_store.places import in_chunks
from crdt_store.prepared import Prepared
from crdt_store.tables import room_events, room_heads

_TRIMMED_PER_CALL = 1000

_OF_ROOM = room_heads.c.room == bindparam("name")
_LOCK = Prepared(select(room_heads.c.last_event_seq).where(_OF_ROOM).with_for_update())
_BEGIN = Prepared(
    text("INSERT INTO room_heads (room, last_event_seq) VALUES (:name, 0) ON CONFLICT DO NOTHING")
)
_ADVANCE = Prepared(update(room_heads).where(_OF_ROOM).values(last_event_seq=bindparam("reached")))


class RoomEvent(NamedTuple):
    """`seq` counts the events of its room from 1 on, in commit order. `payload` is what was given: JSON, say."""

    room: str
    seq: int
    type: str
    payload: str
    sender_id: int | None
    at_ms: int


_FIELDS = [room_events.c[name] for name in RoomEvent._fields]
_INSERT = Prepared(insert(room_events).inline().values({name: bindparam(name) for name in RoomEvent._fields}))


def append_event(
    connection: Connection,
    room: str,
    type: str,  # noqa: A002 - the field's name
    payload: str,
    sender_id: int | None,
    now_ms: int,
) -> int:
    """Keep an event of the room; its seq."""
    room = storable(room)
    rows = _LOCK.fetch(connection, {"name": room})
    if not rows:
        _BEGIN.run(connection, [{"name": room}])
        rows = _LOCK.fetch(connection, {"name": room})
    event = RoomEvent(room, int(rows[0][0]) + 1, storable(type), storable(payload), sender_id, now_ms)
    _INSERT.run(connection, [event._asdict()])
    _ADVANCE.run(connection, [{"name": room, "reached": event.seq}])
    return event.seq


def trim_events(connection: Connection, room: str, keep: int) -> int:
    """Forget all but the last `keep` events of the room, 1000 at most in one call; how many went."""
    room = storable(room)
    in_room = room_events.c.room == room
    oldest = connection.scalar(select(func.min(room_events.c.seq)).where(in_room))
    if oldest is None:
        return 0
    end = min(last_event_seqs(connection, [room])[room] - keep, oldest + _TRIMMED_PER_CALL - 1)
    return connection.execute(delete(room_events).where(in_room, room_events.c.seq <= end)).rowcount


def last_event_seqs(connection: Connection, rooms: Iterable[str]) -> dict[str, int]:
    """The seq of each room's last event, kept or not; 0 if there was none."""
    found = dict.fromkeys(rooms, 0)
    for chunk in in_chunks(list(found)):
        query = select(room_heads.c.room, room_heads.c.last_event_seq).where(room_heads.c.room.in_(chunk))
        found.update((room, seq) for room, seq in connection.execute(query))
    return found


def events_after(connection: Connection, room: str, seq: int, limit: int) -> tuple[list[RoomEvent], bool]:
    """The first events after `seq`, in order, and whether others after it are not kept any more.

    Also said where `seq` is beyond the end: it is none of this room's.
    """
    room, after = storable(room), bounded(seq)
    query = select(*_FIELDS).where(room_events.c.room == room, room_events.c.seq > after)
    events = [
        RoomEvent(*record)
        for record in connection.execute(query.order_by(room_events.c.seq).limit(max(limit, 1)))
    ]
    first_kept = events[0].seq if events else last_event_seqs(connection, [room])[room] + 1
    return events[: max(limit, 0)], first_kept != after + 1
