"""Which lines a change touches, and which lines two changes of one text both touch."""

from collections.abc import Sequence
from typing import NamedTuple

from server.files.edits import Edit
from server.files.offsets import Lines
from server.files.text_diff import hunks, split_lines


class LineRange(NamedTuple):
    """Lines [start, end), from 0; where nothing but new lines come in, start is end."""

    start: int
    end: int


class LineChanges(NamedTuple):
    """`ranges`: the lines of the new text that are new or changed; where lines only went, an empty one."""

    ranges: tuple[LineRange, ...]
    added: int
    removed: int


def line_changes(old: str, new: str) -> LineChanges:
    """What `git diff` would count."""
    found = hunks(split_lines(old), split_lines(new))
    return LineChanges(
        tuple(LineRange(hunk.new_start, hunk.new_end) for hunk in found),
        sum(hunk.new_end - hunk.new_start for hunk in found),
        sum(hunk.end - hunk.start for hunk in found),
    )


def touched(text: str, edits: Sequence[Edit]) -> list[LineRange]:
    """The lines of the text that these ascending edits change, ascending and apart.

    Whole lines that come in between two lines touch neither.
    """
    lines = Lines(text)
    ranges: list[LineRange] = []
    for edit in edits:
        first, last = lines.line_of(edit.start), lines.line_of(edit.end)
        keeps_first = edit.start == lines.starts[first] and (not edit.text or edit.text.endswith("\n"))
        is_whole = keeps_first and edit.end == lines.starts[last]
        found = LineRange(first, last if is_whole else last + 1)
        if ranges and (found.start < ranges[-1].end or found == ranges[-1]):
            found = LineRange(ranges[-1].start, max(ranges.pop().end, found.end))
        ranges.append(found)
    return ranges


def both_touch(ours: Sequence[LineRange], theirs: Sequence[LineRange]) -> list[LineRange]:
    """Where ascending ranges of two changes meet: each time all lines that either touches there.

    An empty range meets one that has lines on both sides of it, and another one at the same place.
    """
    found: list[LineRange] = []
    group: LineRange | None = None
    sides: set[bool] = set()
    for each, side in sorted([(each, True) for each in ours] + [(each, False) for each in theirs]):
        if group is not None and _meet(group, each):
            group = LineRange(group.start, max(group.end, each.end))
            sides.add(side)
            continue
        if group is not None and len(sides) == 2:
            found.append(group)
        group, sides = each, {side}
    if group is not None and len(sides) == 2:
        found.append(group)
    return found


def _meet(before: LineRange, after: LineRange) -> bool:
    """Of ranges in their order."""
    return after.start < before.end or (after == before and before.start == before.end)
