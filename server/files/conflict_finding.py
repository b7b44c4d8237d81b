"""Where a change and what others did meanwhile touch the same lines: what each side says, and what came of it."""

from collections.abc import Sequence
from typing import NamedTuple

from server.files.change_tracking import changes_by_author
from server.files.edits import Edit
from server.files.line_changes import LineRange, both_touch, touched
from server.files.offsets import Lines
from server.files.regions import Region, Span, find, regions_of
from server.files.text_diff import diff
from server.files.versions import ROOT, FileState, WrittenBy

_MAX_CONFLICTS = 100
"""Of one change; what lies between the last of them and further ones is one with them."""


class Conflict(NamedTuple):
    """`lines`: of the merged text. `base` is what both have changed, `others` who has made `theirs` of it."""

    region: Region
    lines: LineRange
    base: str
    yours: str
    theirs: str
    merged: str
    others: tuple[int, ...]


def find_conflicts(
    base: FileState, edits: Sequence[Edit], others: Sequence[WrittenBy], mine: Sequence[bytes]
) -> list[Conflict]:
    """Of these edits of the base, written as `mine`, with what others wrote before that was stored.

    Takes time by the document's size. Raises EngineFailure.
    """
    theirs = base.with_updates([each.data for each in others]).text(ROOT)
    ranges = both_touch(touched(base.text, edits), touched(base.text, diff(base.text, theirs)))
    if not ranges:
        return []
    if len(ranges) > _MAX_CONFLICTS:
        ranges[_MAX_CONFLICTS - 1 :] = [LineRange(ranges[_MAX_CONFLICTS - 1].start, ranges[-1].end)]
    lines = Lines(base.text)
    spans = [lines.span(*each) for each in ranges]
    before = [each.data for each in others]
    authors = _Authors(base, others)
    found: list[Conflict] = []
    regions = regions_of(base, spans)
    sides = (find(base, more, regions) for more in (mine, before, [*before, *mine]))
    for region, (start, end), ours, theirs_here, both in zip(regions, spans, *sides, strict=True):
        if not ours.said == theirs_here.said == both.said:
            said = base.text[start:end], ours.said, theirs_here.said, both.said
            found.append(Conflict(region, _lines_of(both), *said, authors.of(_lines_of(theirs_here))))
    return found


class _Authors:
    """Who wrote which of what others wrote since the base."""

    def __init__(self, base: FileState, others: Sequence[WrittenBy]) -> None:
        self._all = tuple(sorted({each.author_id for each in others if each.author_id is not None}))
        self._changes = changes_by_author(base, others) if len(self._all) > 1 else []

    def of(self, lines: LineRange) -> tuple[int, ...]:
        """Of these lines, in the text as the others left it; if nobody can say, all of them."""
        found = {
            change.author_id
            for change in self._changes
            for start, end in change.ranges
            if (start < lines.end and lines.start < end)
            or (start == end and lines.start <= start <= lines.end)
        }
        return tuple(each for each in self._all if each in found) or self._all


def _lines_of(span: Span) -> LineRange:
    lines = Lines(span.text)
    first, last = lines.line_of(span.start), lines.line_of(span.end)
    return LineRange(first, last if span.end == lines.starts[last] else last + 1)
