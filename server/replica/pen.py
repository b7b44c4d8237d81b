"""Writes structs of one client, as Yjs would: new ones, and copies of what is there."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from server.protocol.id_set import IdSet
from server.protocol.structs import ANY, TYPE, Id
from server.protocol.varint import buf, var_uint
from server.replica.nodes import Branch, Chain, Node
from server.replica.values import write_any

_HAS_ORIGIN, _HAS_RIGHT_ORIGIN, _HAS_KEY = 0x80, 0x40, 0x20
_MAP = b"\x01"
_MAX_DEPTH = 16
"""Shared types in shared types; deeper ones are not copied. A thread has none, its document may from before."""

Winner = Callable[[Chain], Node | None]
IsLive = Callable[[Node], bool]


class Clip(NamedTuple):
    """A piece of content that stands nowhere: a node's, and all below it if it is a shared type."""

    ref: int
    content: bytes
    length: int = 1
    entries: tuple[tuple[str, "Clip"], ...] = ()
    children: tuple["Clip", ...] = ()


def clip_of(value: object) -> Clip:
    """A plain value. Raises TypeError, ValueError."""
    return Clip(ANY, b"\x01" + write_any(value))


def map_clip(fields: Mapping[str, object]) -> Clip:
    """A Y.Map of plain values."""
    return Clip(TYPE, _MAP, entries=tuple((key, clip_of(value)) for key, value in fields.items()))


def has_content(node: Node) -> bool:
    """Whether it is not deleted."""
    return node.content is not None


def clip_node(node: Node, winner: Winner, depth: int = 0, is_live: IsLive = has_content) -> Clip:
    """What a live node says; `winner` tells what a key holds, `is_live` what stands in a sequence."""
    content = node.content or b""
    if node.branch is None or depth == _MAX_DEPTH:
        return Clip(node.ref, content, node.length)
    entries = tuple(
        (key, clip_node(held, winner, depth + 1, is_live))
        for key, chain in node.branch.entries.items()
        if (held := winner(chain)) is not None
    )
    children = tuple(
        clip_node(child, winner, depth + 1, is_live) for child in node.branch.children if is_live(child)
    )
    return Clip(node.ref, content, node.length, entries, children)


class Pen:
    """Writes under a client id, from a clock on; `update` is what it wrote. Changes no replica."""

    def __init__(self, at: Id) -> None:
        self.client, self._first = at
        self._clock = self._first
        self._structs: list[bytes] = []
        self._deletes: list[tuple[int, int, int]] = []

    def update(self) -> bytes | None:
        """None if nothing was written or deleted."""
        if not self._structs and not self._deletes:
            return None
        deletes = IdSet(self._deletes).write()
        if not self._structs:
            return b"\0" + deletes
        head = b"\x01" + var_uint(len(self._structs)) + var_uint(self.client) + var_uint(self._first)
        return b"".join((head, *self._structs, deletes))

    def delete(self, name: Id, length: int) -> None:
        self._deletes.append((*name, length))

    def set(self, parent: Id | str, chain: Chain | None, key: str, clip: Clip) -> None:
        """Set a key of the branch that `parent` names; `chain` is what was set there before.

        What stood there is deleted by that, and is said to be, as Yjs does.
        """
        last = None if chain is None else chain.last
        if last is not None and last.content is not None:
            self.delete(last.id, last.length)
        self.put(clip, None if last is None else last.last_id, None, parent, key)

    def put(
        self, clip: Clip, origin: Id | None, right_origin: Id | None, parent: Id | str, key: str | None = None
    ) -> Id:
        """Write it between these neighbours, or if there are none below `parent`. Returns its last id."""
        item = self.client, self._clock
        info, links = clip.ref, b""
        if origin is not None:
            info |= _HAS_ORIGIN
            links += _id(origin)
        if right_origin is not None:
            info |= _HAS_RIGHT_ORIGIN
            links += _id(right_origin)
        if key is not None:
            info |= _HAS_KEY
        if not links:
            links = b"\x01" + buf(parent.encode()) if isinstance(parent, str) else b"\x00" + _id(parent)
            if key is not None:
                links += buf(key.encode())
        self._structs.append(bytes((info,)) + links + clip.content)
        self._clock += clip.length
        for name, entry in clip.entries:
            self.put(entry, None, None, item, name)
        last: Id | None = None
        for child in clip.children:
            last = self.put(child, last, None, item)
        return item[0], item[1] + clip.length - 1


def name_of(branch: Branch, roots: Mapping[str, Branch]) -> Id | str:
    """What structs call a branch: the id of its item, or the root's name. Raises KeyError for one that is neither."""
    if branch.item is not None:
        return branch.item.id
    for name, root in roots.items():
        if root is branch:
            return name
    raise KeyError("a branch of another document")


def _id(name: Id) -> bytes:
    return var_uint(name[0]) + var_uint(name[1])
