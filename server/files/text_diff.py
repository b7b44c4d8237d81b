"""What has changed from one text to another: by lines first, then by words within the lines that differ.

Lines that both texts have exactly once are taken for the same (patience diff); what lies between two of them is
compared by itself. difflib, whose time may grow by the square, sees only what is short; what is long and has no such
line counts as replaced. So a text of a megabyte takes a fraction of a second, whatever it says.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from server.files.edits import Edit, joined

MAX_EDITS = 1000
"""Of one change; the engine takes time for each. A change of more places is made of larger pieces."""

_MAX_PAIRS = 20_000
"""Pairs of items that difflib may have to compare."""

_FEW, _MAX_COMPARED = 64 * 1024, 4 * 2**20
"""Characters of lines in a row that differ: beyond the first, line by line if they are as many; beyond the second not
by words at all."""

_MAX_DEPTH = 16
_WORD = re.compile(r"\w+|\r\n|\s|[^\w\s]")


class Hunk(NamedTuple):
    """Items [start, end) of the old sequence became items [new_start, new_end) of the new one."""

    start: int
    end: int
    new_start: int
    new_end: int


def diff(old: str, new: str) -> list[Edit]:
    """Ascending edits that make `new` of `old`, at most MAX_EDITS."""
    if old == new:
        return []
    old_lines, new_lines = split_lines(old), split_lines(new)
    edits: list[Edit] = []
    place = line = 0
    for hunk in hunks(old_lines, new_lines):
        place += sum(map(len, old_lines[line : hunk.start]))
        before, after = old_lines[hunk.start : hunk.end], new_lines[hunk.new_start : hunk.new_end]
        edits += _within(place, before, after)
        place += sum(map(len, before))
        line = hunk.end
    return joined(old, edits, MAX_EDITS)


def split_lines(text: str) -> list[str]:
    """The lines with their `\\n`; the last one may have none, and is not empty."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def hunks(old: Sequence[str], new: Sequence[str]) -> list[Hunk]:
    """Where the sequences differ, ascending; between two hunks there is at least one item that is the same."""
    found: list[Hunk] = []
    for hunk in _hunks(old, new, Hunk(0, len(old), 0, len(new)), _MAX_DEPTH):
        if found and found[-1].end == hunk.start and found[-1].new_end == hunk.new_start:
            before = found.pop()
            hunk = Hunk(before.start, hunk.end, before.new_start, hunk.new_end)
        found.append(hunk)
    return found


def _hunks(old: Sequence[str], new: Sequence[str], part: Hunk, depth: int) -> Iterator[Hunk]:
    start, end, new_start, new_end = part
    while start < end and new_start < new_end and old[start] == new[new_start]:
        start, new_start = start + 1, new_start + 1
    while start < end and new_start < new_end and old[end - 1] == new[new_end - 1]:
        end, new_end = end - 1, new_end - 1
    part = Hunk(start, end, new_start, new_end)
    if start == end or new_start == new_end:
        if start < end or new_start < new_end:
            yield part
        return
    anchors = _anchors(old, new, part) if depth else []
    if not anchors:
        yield from _short_hunks(old, new, part)
        return
    for at, new_at in (*anchors, (end, new_end)):
        yield from _hunks(old, new, Hunk(start, at, new_start, new_at), depth - 1)
        start, new_start = at + 1, new_at + 1


def _anchors(old: Sequence[str], new: Sequence[str], part: Hunk) -> list[tuple[int, int]]:
    """Items that both have once here: the most of them that come in the same order in both."""
    old_once = _once(old, part.start, part.end)
    new_once = _once(new, part.new_start, part.new_end)
    pairs = [(at, new_once[item]) for item, at in old_once.items() if item in new_once]
    return _longest_ascending(pairs)


def _once(items: Sequence[str], start: int, end: int) -> dict[str, int]:
    counts = Counter(items[start:end])
    return {items[at]: at for at in range(start, end) if counts[items[at]] == 1}


def _longest_ascending(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Of pairs that ascend in their first part, the most that ascend in the second too. O(n log n)."""
    ends: list[int] = []
    piles: list[int] = []
    before: list[int | None] = []
    for index, (_, value) in enumerate(pairs):
        pile = bisect_left(ends, value)
        before.append(piles[pile - 1] if pile else None)
        ends[pile : pile + 1] = [value]
        piles[pile : pile + 1] = [index]
    chain: list[tuple[int, int]] = []
    link = piles[-1] if piles else None
    while link is not None:
        chain.append(pairs[link])
        link = before[link]
    return chain[::-1]


def _short_hunks(old: Sequence[str], new: Sequence[str], part: Hunk) -> Iterator[Hunk]:
    start, end, new_start, new_end = part
    if (end - start) * (new_end - new_start) > _MAX_PAIRS:
        yield part
        return
    matcher = SequenceMatcher(None, old[start:end], new[new_start:new_end], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            yield Hunk(start + a, start + b, new_start + c, new_start + d)


def _within(place: int, old: Sequence[str], new: Sequence[str]) -> Iterator[Edit]:
    """Edits of lines that begin at this place."""
    before, after = "".join(old), "".join(new)
    if len(before) + len(after) > _FEW and len(old) == len(new) > 1:
        for line, new_line in zip(old, new, strict=True):
            yield _trimmed(place, line, new_line)
            place += len(line)
    elif len(before) + len(after) <= _MAX_COMPARED:
        yield from _by_words(place, before, after)
    else:
        yield _trimmed(place, before, after)


def _by_words(place: int, old: str, new: str) -> Iterator[Edit]:
    old_words, new_words = _WORD.findall(old), _WORD.findall(new)
    word = 0
    for hunk in hunks(old_words, new_words):
        place += sum(map(len, old_words[word : hunk.start]))
        before = "".join(old_words[hunk.start : hunk.end])
        yield _trimmed(place, before, "".join(new_words[hunk.new_start : hunk.new_end]))
        place += len(before)
        word = hunk.end


def _trimmed(place: int, old: str, new: str) -> Edit:
    """Without what both begin and end with."""
    most = min(len(old), len(new))
    first = next((index for index in range(most) if old[index] != new[index]), most)
    most -= first
    last = next((index for index in range(most) if old[-1 - index] != new[-1 - index]), most)
    return Edit(place + first, place + len(old) - last, new[first : len(new) - last])
