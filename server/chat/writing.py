"""What the server itself writes into a thread, as bytes of an update: no engine is needed.

Each writer is given the client id to write under and its next clock, and changes nothing: what it returns is to be
applied to the document and taken in by the thread like any other update. It keeps no rules; whoever calls it does.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from server.chat.fields import ReactionKey
from server.chat.thread import Thread
from server.protocol.structs import Id
from server.replica.nodes import Branch
from server.replica.pen import Pen, clip_of, map_clip


class Receipt(NamedTuple):
    """How far a user has got: the highest `seq` delivered to, and read by it."""

    delivered_seq: int
    read_seq: int


def append_message(thread: Thread, at: Id, fields: Mapping[str, object]) -> bytes:
    """A new message at the end. `fields` in the order in which they are written; None stands for null."""
    pen = Pen(at)
    last = thread.messages.children.last
    pen.put(map_clip(fields), None if last is None else last.last_id, None, "messages")
    return pen.update() or b""


def set_fields(thread: Thread, at: Id, changes: Iterable[tuple[Id, Mapping[str, object]]]) -> bytes | None:
    """Set fields of messages, which are named by their `item`, each once. None if there is nothing to set.

    Raises KeyError for an item that is no live map.
    """
    pen = Pen(at)
    for item, fields in changes:
        branch = thread.map_of(item)
        if branch is None:
            raise KeyError(item)
        for key, value in fields.items():
            pen.set(item, branch.entries.get(key), key, clip_of(value))
    return pen.update()


def set_reaction(thread: Thread, at: Id, reaction: ReactionKey, *, is_set: bool) -> bytes | None:
    """None if it is as it should be."""
    pen = Pen(at)
    key = str(reaction)
    held = thread.reactions.winner(key)
    if held is None and is_set:
        pen.set("reactions", thread.reactions.entries.get(key), key, clip_of(True))
    elif held is not None and not is_set:
        pen.delete(held.id, held.length)
    return pen.update()


def set_receipts(thread: Thread, at: Id, receipts: Mapping[int, Receipt]) -> bytes | None:
    """By user id. None if the thread has got as far with all of them."""
    plain = {str(user_id): receipt._asdict() for user_id, receipt in receipts.items()}
    plain = {
        key: value for key, value in plain.items() if not _is_at_least(thread.value("receipts", key), value)
    }
    return set_keys(thread.roots["receipts"], "receipts", at, plain)


def _is_at_least(held: object, receipt: Mapping[str, int]) -> bool:
    return isinstance(held, dict) and all(held.get(key, 0) >= seq for key, seq in receipt.items())


def set_keys(root: Branch, name: str, at: Id, values: Mapping[str, object]) -> bytes | None:
    """Set keys of a root. None if there are none."""
    pen = Pen(at)
    for key, value in values.items():
        pen.set(name, root.entries.get(key), key, clip_of(value))
    return pen.update()
