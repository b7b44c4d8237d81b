"""A long thread goes on in a new document: what that holds at first, and how the documents of a thread stay true.

What the database has of a message is what counts: a document is put right by it. PURE.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from crdt_store.message_rows import StoredMessage, storable
from server.chat.judgement import Message
from server.chat.thread import Thread
from server.chat.told import iso
from server.protocol.structs import Id
from server.replica.nodes import Branch, Chain, Node
from server.replica.pen import Clip, Pen, clip_node, clip_of, map_clip


class Opening(NamedTuple):
    """What a segment begins with: `update` holds the messages from `first_seq` on."""

    update: bytes
    first_seq: int


def open_segment(thread: Thread, at: Id, *, name: str, keep: int, last_seq: int) -> Opening:
    """The segment after `thread`, which from now on is the document `name`.

    It has the last `keep` messages with their reactions, all receipts, and says in the root `thread` where the older
    messages are. `last_seq`: where the thread ends; messages without a number are the last ones.
    """
    pen = Pen(at)
    messages = sorted(thread.all_messages(), key=_place)
    unnumbered = sum(message.seq is None for message in messages)
    kept = messages[-max(keep, unnumbered) :]
    first_seq = next((m.seq for m in kept if m.seq is not None), last_seq + 1 - len(kept))
    origin: Id | None = None
    for message in kept:
        origin = pen.put(_clip(thread.find(message.item)), origin, None, "messages")
    kept_ids = {message.message_id for message in kept}
    for reaction in thread.all_reactions():
        if reaction.message_id in kept_ids:
            pen.set("reactions", None, str(reaction), clip_of(True))
    for key, node in _entries(thread.roots["receipts"]):
        pen.set("receipts", None, key, _clip(node))
    about = {"segment": thread.segment + 1, "first_seq": first_seq, "previous": name}
    for key, value in about.items():
        pen.set("thread", None, key, clip_of(value))
    return Opening(pen.update() or b"\0\0", first_seq)


def _place(message: Message) -> tuple[bool, int]:
    return message.seq is None, message.seq or 0


def _entries(branch: Branch) -> list[tuple[str, Node]]:
    held = ((key, chain.winner) for key, chain in branch.entries.items())
    return [(key, node) for key, node in held if node is not None]


def _clip(node: Node) -> Clip:
    return clip_node(node, _winner)


def _winner(chain: Chain) -> Node | None:
    return chain.winner


def settle(
    thread: Thread, at: Id, stored: Iterable[StoredMessage], *, only_numbers: bool = False
) -> bytes | None:
    """An update after which the thread says of these messages what the database has; None if it does.

    A message that it lacks is put at its end. One that belongs to an earlier segment, where its sender has sent it
    before, is taken out. `only_numbers`: of those that are there, which may have been edited since, nothing is put
    right but a missing `seq`, and with it whom they mention.
    """
    pen = Pen(at)
    last = thread.messages.children.last
    origin = None if last is None else last.last_id
    for each in stored:
        message = thread.message(each.sender_id, each.uuid)
        if each.seq < thread.first_seq:
            if message is not None:
                pen.delete(message.item, 1)
        elif message is None:
            origin = pen.put(map_clip(_fields(each)), origin, None, "messages")
        elif message.seq is None or not only_numbers:
            _put_right(
                pen, thread, message, _numbers(message, each) if only_numbers else _differences(message, each)
            )
    return pen.update()


def _put_right(pen: Pen, thread: Thread, message: Message, fields: dict[str, Any]) -> None:
    branch = thread.find(message.item).branch
    assert branch is not None
    for key, value in fields.items():
        pen.set(message.item, branch.entries.get(key), key, clip_of(value))


def _numbers(message: Message, stored: StoredMessage) -> dict[str, Any]:
    return _place_of(stored) | _mentions(message, stored)


def _place_of(stored: StoredMessage) -> dict[str, Any]:
    return {"seq": stored.seq, "server_time": iso(stored.server_time_ms)}


def _mentions(message: Message, stored: StoredMessage) -> dict[str, Any]:
    """Who is meant by a name, only the database knows."""
    is_same = set(message.mentions) == set(stored.mentions)
    return {} if is_same or stored.deleted else {"mentions": list(stored.mentions)}


def _differences(message: Message, stored: StoredMessage) -> dict[str, Any]:
    fields = {} if message.seq == stored.seq else _numbers(message, stored)
    if stored.deleted:
        return fields if message.is_deleted else fields | {"body": "", "deleted": True}
    if storable(message.body) != stored.body:
        fields |= {"body": stored.body, "edited_at": iso(stored.edited_at_ms or stored.server_time_ms)}
    return fields | _mentions(message, stored)


def _fields(stored: StoredMessage) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": stored.uuid, "sender_id": stored.sender_id, "body": stored.body}
    if stored.sent_at:
        fields["sent_at"] = stored.sent_at
    if stored.reply_to is not None:
        fields["reply_to"] = stored.reply_to
    if stored.edited_at_ms is not None:
        fields["edited_at"] = iso(stored.edited_at_ms)
    if stored.deleted:
        fields["deleted"] = True
    if stored.mentions:
        fields["mentions"] = list(stored.mentions)
    return fields | _place_of(stored)
