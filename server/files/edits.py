"""Edits of a text: which part of it is replaced by what. Places are code points of the text as it was before."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from server.files.offsets import Unit, to_code_points


class Edit(NamedTuple):
    """Replaces [start, end) with `text`."""

    start: int
    end: int
    text: str


class BadEdits(ValueError):
    """Edits that overlap, or end before they begin."""


def edits_of(text: str, asked: Iterable[Edit], unit: Unit) -> list[Edit]:
    """Edits whose offsets are in that unit, in any order, as edits of the text, ascending.

    What is inserted at one place stays in the order in which it was asked. Raises BadOffset, BadEdits.
    """
    ordered = sorted(asked, key=lambda edit: (edit.start, edit.end))
    bounds: list[int] = []
    for edit in ordered:
        if not (bounds[-1] if bounds else 0) <= edit.start <= edit.end:
            raise BadEdits(f"[{edit.start}, {edit.end}) overlaps another edit, or ends before it begins")
        bounds += (edit.start, edit.end)
    places = to_code_points(text, bounds, unit)
    return [
        Edit(places[2 * index], places[2 * index + 1], edit.text)
        for index, edit in enumerate(ordered)
        if edit.text or edit.start < edit.end
    ]


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text after ascending edits that do not overlap."""
    pieces: list[str] = []
    done = 0
    for start, end, new in edits:
        pieces += (text[done:start], new)
        done = end
    return "".join((*pieces, text[done:]))


def joined(text: str, edits: Sequence[Edit], max_edits: int) -> list[Edit]:
    """The same change in at most so many edits: neighbours become one, first where least is between them."""
    gap, result = 16, list(edits)
    while len(result) > max_edits:
        result = _in_pairs(text, result, gap)
        gap *= 2
    return result


def _in_pairs(text: str, edits: Sequence[Edit], max_gap: int) -> list[Edit]:
    result: list[Edit] = []
    is_pair = True
    for edit in edits:
        if is_pair or edit.start - result[-1].end > max_gap:
            result.append(edit)
            is_pair = False
        else:
            first = result.pop()
            between = text[first.end : edit.start]
            result.append(Edit(first.start, edit.end, first.text + between + edit.text))
            is_pair = True
    return result
