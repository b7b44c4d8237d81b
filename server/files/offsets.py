"""Places in a text, in the units that clients count in: UTF-16 units as editors do, code points; and its lines.

Here a place is a number of code points, as in a Python string. A line ends after its `\\n`; a `\\r` before it is
part of it. All is linear in the text.
"""

from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum


class Unit(StrEnum):
    """What an offset counts."""

    UTF16 = "utf16"
    CODEPOINT = "codepoint"


class BadOffset(ValueError):
    """A place that the text does not have; the message says which."""


def to_code_points(text: str, offsets: Sequence[int], unit: Unit) -> list[int]:
    """Ascending offsets in that unit as code points. Raises BadOffset: beyond the end, or inside a surrogate pair."""
    if unit is Unit.CODEPOINT or text.isascii():
        length = len(text)
        if offsets and not 0 <= offsets[0] <= offsets[-1] <= length:
            raise BadOffset(f"{offsets[-1]} is beyond the end of the text, at {length}")
        return list(offsets)
    units = text.encode("utf-16-le")
    places: list[int] = []
    done = place = 0
    for offset in offsets:
        if not done <= offset <= len(units) // 2:
            raise BadOffset(f"{offset} is beyond the end of the text, at {len(units) // 2}")
        try:
            place += len(units[2 * done : 2 * offset].decode("utf-16-le"))
        except UnicodeDecodeError as error:
            raise BadOffset(f"{offset} is inside a surrogate pair") from error
        done = offset
        places.append(place)
    return places


def to_utf8(text: str, places: Sequence[int]) -> list[int]:
    """Ascending places as offsets in bytes of UTF-8."""
    if text.isascii():
        return list(places)
    offsets: list[int] = []
    done = offset = 0
    for place in places:
        offset += len(text[done:place].encode())
        done = place
        offsets.append(offset)
    return offsets


class Lines:
    """The lines of a text. There is always one more than `\\n`s, the last may be empty."""

    def __init__(self, text: str) -> None:
        self._text = text
        starts = [0]
        while (found := text.find("\n", starts[-1])) >= 0:
            starts.append(found + 1)
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts)

    def line_of(self, place: int) -> int:
        """The line in which the place is; a place just behind a `\\n` is in the next."""
        return bisect_right(self.starts, place) - 1

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The places where lines `first` up to, not including, `last` begin and end."""
        return self._start(first), self._start(last)

    def _start(self, line: int) -> int:
        return self.starts[line] if line < len(self.starts) else len(self._text)
