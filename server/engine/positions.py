"""Places in a text that stay where they are while it is edited: Yjs' relative positions, for a root that is a text.

The engine's own positions count bytes of UTF-8 and UTF-16 units in turns where a text is in several pieces, and panic
where there is no such character. So characters are looked for in a copy of the document.
"""

from collections.abc import Sequence
from typing import NamedTuple

from server.engine.document import Document
from server.engine.marks import write_marks
from server.engine.text_edits import write_edits
from server.protocol.structs import Id, read_structs

_PROBE_ID = 2**53 - 2


class Position(NamedTuple):
    """Before a character; if `assoc` is below 0, behind it."""

    item: Id
    assoc: int


def indexes_of(document: Document, root: str, positions: Sequence[Position]) -> list[int | None]:
    """Where these, or what is left of them, are in the root's text, in UTF-16; None for what never was in it.

    Takes time by the document's size. Raises EngineFailure.
    """
    marks = {number: f"\ue0f1{number}\ue0f2" for number in range(len(positions))}
    known = {n: each for n, each in enumerate(positions) if document.is_in_sequence(root, each.item)}
    if not known:
        return [None] * len(positions)
    copy = Document.of_snapshot(document.encoding(), document.summary())
    behind = [(each.item, marks[n]) for n, each in known.items() if each.assoc < 0]
    before = [(each.item, marks[n]) for n, each in known.items() if each.assoc >= 0]
    copy.take_in(write_marks(document.contents.state, behind, before))
    text = copy.text(root)
    places = {number: text.find(marks[number]) for number in known}
    found: list[int | None] = []
    for number in range(len(positions)):
        place = places.get(number, -1)
        before_it = text[: max(place, 0)]
        for other in known:
            before_it = before_it.replace(marks[other], "")
        found.append(None if place < 0 else len(before_it.encode("utf-16-le", "surrogatepass")) // 2)
    return found


def items_at(document: Document, root: str, indexes: Sequence[int]) -> list[Id | None]:
    """The characters at these indexes of the root's text, in UTF-16; None where the text ends.

    Takes time by the document's size. Raises EngineFailure.
    """
    units = document.text(root).encode("utf-16-le", "surrogatepass")
    places = {
        index: len(units[: 2 * index].decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass"))
        for index in indexes
        if 0 <= 2 * index < len(units)
    }
    if not places:
        return [None] * len(indexes)
    at = sorted(set(places.values()))
    update = write_edits(document.encoding(), root, [(place, place, "x") for place in at], _PROBE_ID)
    right = dict(zip(at, (each.right_origin for each in read_structs(update)[0]), strict=True))
    return [right[places[index]] if index in places else None for index in indexes]
