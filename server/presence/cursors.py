"""Cursors of editors, which stick to characters, as lines and columns for those who have no replica; and back.

Editors put `{"anchor", "head"}` into `cursor` (y-codemirror) or `selection` (y-monaco): relative positions of Yjs.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from server.engine.document import Document, EngineFailure
from server.engine.positions import Position, indexes_of, items_at
from server.presence.text_places import TextPlaces, WantedPlace, read_place
from server.protocol.structs import Id

ROOT = "content"
"""The text of a file."""

MAX_CLOCKS = 250_000
"""Of a document that has had more characters nothing is worked out: each look would take milliseconds."""

_ENDS = ("anchor", "head")
_END = -1
logger = logging.getLogger(__name__)


class Cursors:
    """Of one document, as it is now; its text is read once. What cannot be told is None."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._read_places: TextPlaces | None = None

    def places(self, cursor: Any) -> dict[str, Mapping[str, int]] | None:
        """Where a cursor of relative positions is: the `line`, `column` and `code_points` of its ends."""
        if not isinstance(cursor, Mapping):
            return None
        try:
            indexes = self._indexes([cursor.get(end) for end in _ENDS])
            found = zip(_ENDS, indexes, strict=True)
            return {
                end: self._places().at(index)._asdict() for end, index in found if index is not None
            } or None
        except EngineFailure as error:
            logger.warning("a cursor cannot be placed: %s", error)
            return None

    def relative(self, cursor: Any) -> dict[str, Any] | None:
        """The relative positions of a cursor that says lines and columns: `{"line", …}`, or one for each end."""
        if not isinstance(cursor, Mapping):
            return None
        ends = {end: read_place(cursor.get(end)) for end in _ENDS}
        place = read_place(cursor) or ends["head"]
        head, anchor = place, ends["anchor"] or place
        if head is None or anchor is None or self._is_too_large():
            return None
        try:
            return dict(zip(_ENDS, self._positions([anchor, head]), strict=True))
        except EngineFailure as error:
            logger.warning("a cursor cannot be placed: %s", error)
            return None

    def _indexes(self, shown: Sequence[object]) -> list[int | None]:
        """Raises EngineFailure."""
        if self._is_too_large():
            return [None] * len(shown)
        found: list[int | None] = []
        asked: dict[int, Position] = {}
        for number, each in enumerate(shown):
            position = _position(each)
            if isinstance(position, Position):
                asked[number] = position
            found.append(position if isinstance(position, int) else None)
            if position == _END:
                found[-1] = self._places().length
        indexes = indexes_of(self._document, ROOT, list(asked.values())) if asked else []
        for number, index in zip(asked, indexes, strict=True):
            found[number] = index
        return found

    def _positions(self, wanted: Sequence[WantedPlace]) -> list[dict[str, Any]]:
        """As Yjs writes them. Raises EngineFailure."""
        indexes = [self._places().index(place) for place in wanted]
        items = items_at(self._document, ROOT, indexes)
        shown = [None if item is None else {"client": item[0], "clock": item[1]} for item in items]
        return [{"type": None, "tname": ROOT, "item": each, "assoc": 0} for each in shown]

    def _is_too_large(self) -> bool:
        return sum(self._document.contents.state.values()) > MAX_CLOCKS

    def _places(self) -> TextPlaces:
        if self._read_places is None:
            self._read_places = TextPlaces(self._document.text(ROOT))
        return self._read_places


def _position(shown: object) -> Position | int | None:
    """What a relative position says: a place at a character, 0 for the beginning, or _END."""
    if not isinstance(shown, Mapping) or shown.get("tname") != ROOT:
        return None
    assoc, item = shown.get("assoc"), shown.get("item")
    assoc = assoc if isinstance(assoc, int) else 0
    if item is None:
        return 0 if assoc < 0 else _END
    found = _id(item)
    return None if found is None else Position(found, assoc)


def _id(item: object) -> Id | None:
    if not isinstance(item, Mapping):
        return None
    client, clock = item.get("client"), item.get("clock")
    if type(client) is not int or type(clock) is not int or client < 0 or clock < 0:
        return None
    return client, clock
