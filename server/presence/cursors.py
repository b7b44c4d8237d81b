"""Cursors of editors, which stick to characters, as lines and columns for those who have no replica; and back.

Editors put `{"anchor", "head"}` into `cursor` (y-codemirror) or `selection` (y-monaco): relative positions of Yjs.
"""

import logging
from collections.abc import Mapping
from typing import Any

from server.engine.document import Document, EngineFailure
from server.engine.positions import index_of, item_at
from server.presence.text_places import TextPlaces, WantedPlace, read_place
from server.protocol.structs import Id

ROOT = "content"
"""The text of a file."""

MAX_CLOCKS = 250_000
"""Of a document that has had more characters nothing is worked out: each look would take milliseconds."""

_ENDS = ("anchor", "head")
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
            indexes = {end: self._index(cursor.get(end)) for end in _ENDS}
            return {
                end: self._places().at(index)._asdict() for end, index in indexes.items() if index is not None
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
            return {"anchor": self._position(anchor), "head": self._position(head)}
        except EngineFailure as error:
            logger.warning("a cursor cannot be placed: %s", error)
            return None

    def _index(self, position: object) -> int | None:
        """Raises EngineFailure."""
        if not isinstance(position, Mapping) or position.get("tname") != ROOT or self._is_too_large():
            return None
        assoc, item = position.get("assoc"), position.get("item")
        assoc = assoc if isinstance(assoc, int) else 0
        if item is None:
            return 0 if assoc < 0 else self._places().length
        found = _id(item)
        return None if found is None else index_of(self._document, ROOT, found, assoc)

    def _position(self, place: WantedPlace) -> dict[str, Any]:
        """As Yjs writes it. Raises EngineFailure."""
        places = self._places()
        index = places.index(place)
        item = item_at(self._document, ROOT, index) if index < places.length else None
        shown = None if item is None else {"client": item[0], "clock": item[1]}
        return {"type": None, "tname": ROOT, "item": shown, "assoc": 0}

    def _is_too_large(self) -> bool:
        return sum(self._document.contents.state.values()) > MAX_CLOCKS

    def _places(self) -> TextPlaces:
        if self._read_places is None:
            self._read_places = TextPlaces(self._document.text(ROOT))
        return self._read_places


def _id(item: object) -> Id | None:
    if not isinstance(item, Mapping):
        return None
    client, clock = item.get("client"), item.get("clock")
    if type(client) is not int or type(clock) is not int or client < 0 or clock < 0:
        return None
    return client, clock
