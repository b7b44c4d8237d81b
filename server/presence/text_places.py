"""Places in a text: as one number, and as line and column. Pure.

Editors count in UTF-16, as Yjs does; programs in code points too. Lines end with a line feed; all counts begin at 0.
"""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

_COUNTS = ("line", "column", "code_points")


class TextPlace(NamedTuple):
    """`column`: UTF-16 units from the line's beginning; `code_points`: the same in code points."""

    line: int
    column: int
    code_points: int


class WantedPlace(NamedTuple):
    """By `column`, or by code points if that is None."""

    line: int
    column: int | None
    code_points: int


def read_place(value: object) -> WantedPlace | None:
    """Of `{"line", "column"}` or `{"line", "code_points"}`; None for all else."""
    if not isinstance(value, Mapping) or "line" not in value:
        return None
    counts: dict[str, Any] = {name: value[name] for name in _COUNTS if name in value}
    if any(type(count) is not int or not 0 <= count < 2**31 for count in counts.values()):
        return None
    column = counts.get("column", None if "code_points" in counts else 0)
    return WantedPlace(counts["line"], column, counts.get("code_points", 0))


class TextPlaces:
    """Of one text, looked through once; `length` is in UTF-16 units.

    What is beyond the end, of the text or a line, is at the end; what is within a surrogate pair, before it.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        lengths = map(len if text.isascii() else _units, self._lines)
        *self._starts, end = accumulate((length + 1 for length in lengths), initial=0)
        self.length = end - 1

    def at(self, index: int) -> TextPlace:
        """Where the UTF-16 index is."""
        line = bisect_right(self._starts, index) - 1
        before = _first_units(self._lines[line], index - self._starts[line])
        return TextPlace(line, _units(before), len(before))

    def index(self, place: WantedPlace) -> int:
        """The UTF-16 index of a place."""
        if place.line >= len(self._lines):
            return self.length
        line = self._lines[place.line]
        is_in_units = place.column is not None
        before = _first_units(line, place.column or 0) if is_in_units else line[: place.code_points]
        return self._starts[place.line] + _units(before)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _first_units(text: str, count: int) -> str:
    if text.isascii():
        return text[:count]
    return text.encode("utf-16-le", "surrogatepass")[: 2 * count].decode("utf-16-le", "ignore")
