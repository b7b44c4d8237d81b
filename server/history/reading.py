"""What the past of a text says: how it read at a moment, who wrote what of it, what changed between two moments."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from server.history.past import Counts, Past, is_shown, text_of
from server.protocol.id_set import IdSet
from server.replica.nodes import Node


class Piece(NamedTuple):
    """Text that one change brought."""

    text: str
    number: int
    author_id: int | None


class Side(StrEnum):
    """On which side of a comparison a text is."""

    BOTH = "both"
    ADDED = "added"
    REMOVED = "removed"


class Part(NamedTuple):
    """Text of a comparison. `number`: of the change that added or removed it; None for what is on both sides."""

    side: Side
    text: str
    number: int | None = None
    author_id: int | None = None


def text_at(past: Past, root: str, moment: int) -> str:
    """How the text under this root read."""
    shown = past.shown(Counts.until(moment))
    return "".join(text_of(node) for node in _sequence(past, root) if is_shown(node, shown))


def blame(past: Past, root: str, moment: int) -> list[Piece]:
    """The text as it read then, with who wrote what of it; neighbours are of different changes or authors."""
    shown = past.shown(Counts.until(moment))
    pieces: list[Piece] = []
    for node in _sequence(past, root):
        if is_shown(node, shown):
            for piece in _pieces(past, node):
                _append(pieces, piece)
    return pieces


def compare(past: Past, root: str, before: int, after: int) -> list[Part]:
    """The text at two moments as one, in order."""
    first, second = (past.shown(Counts.until(moment)) for moment in (before, after))
    parts: list[Part] = []
    for node in _sequence(past, root):
        for part in _parts(past, node, first, second):
            _append_part(parts, part)
    return parts


def _sequence(past: Past, root: str) -> Iterator[Node]:
    branch = past.roots.get(root)
    return iter(()) if branch is None else iter(branch.children)


def _pieces(past: Past, node: Node) -> Iterator[Piece]:
    """Of a node, which holds whole characters; a pair of surrogates is never of two changes."""
    text = text_of(node)
    if not text:
        return
    parts = past.brought_by(node)
    if len(parts) == 1:
        yield Piece(text, parts[0][0], past.changes.author_of(parts[0][0], node.client))
        return
    units, start = text.encode("utf-16-le"), 0
    for number, length in parts:
        part = units[2 * start : 2 * (start + length)].decode("utf-16-le", "replace")
        start += length
        yield Piece(part, number, past.changes.author_of(number, node.client))


def _parts(past: Past, node: Node, first: IdSet, second: IdSet) -> Iterator[Part]:
    was, remains = is_shown(node, first), is_shown(node, second)
    text = text_of(node)
    if not text or not (was or remains):
        return
    if was and remains:
        yield Part(Side.BOTH, text)
    elif remains:
        for piece in _pieces(past, node):
            yield Part(Side.ADDED, *piece)
    else:
        number = past.deleter_of(node)
        author_id = None if number is None else past.changes.all[number].author_id
        yield Part(Side.REMOVED, text, number, author_id)


def _append(pieces: list[Piece], piece: Piece) -> None:
    if pieces and pieces[-1][1:] == piece[1:]:
        pieces[-1] = pieces[-1]._replace(text=pieces[-1].text + piece.text)
    else:
        pieces.append(piece)


def _append_part(parts: list[Part], part: Part) -> None:
    if parts and (parts[-1].side, *parts[-1][2:]) == (part.side, *part[2:]):
        parts[-1] = parts[-1]._replace(text=parts[-1].text + part.text)
    else:
        parts.append(part)
