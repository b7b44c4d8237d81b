"""What of a chat's messages concerns whom: read in the transaction of the job that tells them."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, or_, select

from crdt_store.mentions import People
from crdt_store.message_rows import COLUMNS, StoredMessage, storable, stored_message
from crdt_store.notifications_preferences import Level, followers, levels_of
from crdt_store.notifications_readers import readers_of
from crdt_store.places import in_chunks
from crdt_store.tables import messages


class SeqRange(NamedTuple):
    """Both ends are in it."""

    first: int
    last: int


class Audience(NamedTuple):
    """`addressed`: of each message, whom it mentions, and whom it answers. `followers` want to hear of them all."""

    addressed: list[tuple[StoredMessage, set[int], set[int]]]
    followers: set[int]


def read_messages(
    connection: Connection, chat_id: int, ranges: Collection[SeqRange], seqs: Collection[int]
) -> list[StoredMessage]:
    """Those of the chat with one of these seqs, in order, but for the deleted."""
    found: dict[int, StoredMessage] = {}
    is_alive = messages.c.chat_id == chat_id, messages.c.deleted.is_(False)
    for chunk in in_chunks(sorted(ranges)):
        is_in = or_(*(messages.c.seq.between(each.first, each.last) for each in chunk))
        for record in connection.execute(select(*COLUMNS).where(*is_alive, is_in)):
            message = stored_message(record)
            found[message.seq] = message
    for some in in_chunks(sorted(set(seqs) - found.keys())):
        for record in connection.execute(select(*COLUMNS).where(*is_alive, messages.c.seq.in_(some))):
            message = stored_message(record)
            found[message.seq] = message
    return [found[seq] for seq in sorted(found)]


def audience_of(
    connection: Connection, chat_id: int, found: Collection[StoredMessage], *, by_membership: bool
) -> Audience:
    """Whom these messages of the chat concern, who may read them and wants to be told; never their authors."""
    room = f"chat:{chat_id}"
    asked = [
        (message, set(message.mentions), _answered(connection, chat_id, message.reply_to))
        for message in found
    ]
    here, everywhere = followers(connection, room)
    following = {*here, *(People(connection, chat_id).among(everywhere) if everywhere else ())}
    wanted = following.union(*(mentions | answered for _, mentions, answered in asked))
    levels = levels_of(connection, room, wanted)
    readers = readers_of(
        connection,
        room,
        [user for user in wanted if levels[user] is not Level.MUTE],
        by_membership=by_membership,
    )
    addressed = []
    for message, mentions, answered in asked:
        others = readers - {message.sender_id}
        addressed.append((message, mentions & others, (answered - mentions) & others))
    return Audience(addressed, following & readers)


def _answered(connection: Connection, chat_id: int, uuid: str | None) -> set[int]:
    """Who has written a message of this uuid; several may have, since each has uuids of their own."""
    if uuid is None:
        return set()
    query = select(messages.c.sender_id).where(
        messages.c.chat_id == chat_id, messages.c.uuid == storable(uuid)
    )
    return set(connection.scalars(query))
