"""Who has changed which lines, of what was written to one file in a row."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from server.engine.document import Document, MustRebuild
from server.files.line_changes import LineRange
from server.files.text_diff import Hunk, hunks, split_lines
from server.files.versions import ROOT, FileState, WrittenBy

_MAX_TURNS = 32
"""Each is compared by itself. Where more people take turns, those who do so together share their lines."""


class AuthorChange(NamedTuple):
    """`ranges`: lines of the text as it is afterwards. `added`, `removed`: in lines; a changed one counts in both."""

    author_id: int | None
    ranges: tuple[LineRange, ...]
    added: int
    removed: int
    run_id: int | None = None


_Who = tuple[int | None, int | None]  # a user, and the run where it is an agent


def changes_by_author(base: FileState, written: Sequence[WrittenBy]) -> list[AuthorChange]:
    """Of each author who has changed a line, and each run of an agent.

    Takes time by the file's size, some 30 times at most.
    """
    found: dict[_Who, _Lines] = {}
    lines = split_lines(base.text)
    text_after = _replay(base)
    done = 0
    for authors, end in _turns(written):
        text = text_after(written[done:end])
        done = end
        new_lines = split_lines(text)
        changed = hunks(lines, new_lines)
        lines = new_lines
        for each in found.values():
            each.move(changed)
        if changed:
            for who in authors:
                found.setdefault(who, _Lines()).add(changed)
    return [each.of(*who) for who, each in found.items()]


class _Lines:
    """What one author has changed so far."""

    def __init__(self) -> None:
        self._ranges: set[LineRange] = set()
        self._added = self._removed = 0

    def add(self, changed: Sequence[Hunk]) -> None:
        self._ranges |= {LineRange(hunk.new_start, hunk.new_end) for hunk in changed}
        self._added += sum(hunk.new_end - hunk.new_start for hunk in changed)
        self._removed += sum(hunk.end - hunk.start for hunk in changed)

    def move(self, changed: Sequence[Hunk]) -> None:
        """Others, or the same, have changed this since."""
        self._ranges = {
            LineRange(_moved(start, changed), _moved(end, changed)) for start, end in self._ranges
        }

    def of(self, author_id: int | None, run_id: int | None) -> AuthorChange:
        joined: list[LineRange] = []
        for start, end in sorted(self._ranges):
            if joined and start <= joined[-1].end:
                start, end = joined[-1].start, max(joined.pop().end, end)
            joined.append(LineRange(start, end))
        return AuthorChange(author_id, tuple(joined), self._added, self._removed, run_id)


def _moved(line: int, changed: Sequence[Hunk]) -> int:
    """Where what began at this line begins now."""
    shift = 0
    for hunk in changed:
        if hunk.start > line or (hunk.start == line and hunk.end > line):
            break
        if hunk.end > line:
            return min(hunk.new_start + line - hunk.start, hunk.new_end)
        shift = hunk.new_end - hunk.end
    return line + shift


def _turns(written: Sequence[WrittenBy]) -> list[tuple[set[_Who], int]]:
    """Who wrote, and where that ends: in turns, or where there are too many of those, in groups of turns."""
    turns: list[tuple[set[_Who], int]] = []
    end = 0
    for who, turn in groupby(written, key=lambda each: (each.author_id, each.run_id)):
        end += len(list(turn))
        turns.append(({who}, end))
    size = -(-len(turns) // _MAX_TURNS)
    groups = [turns[first : first + size] for first in range(0, len(turns), max(size, 1))]
    return [(set[_Who]().union(*(authors for authors, _ in group)), group[-1][1]) for group in groups]


def _replay(base: FileState) -> Callable[[Sequence[WrittenBy]], str]:
    """Takes in what is written next, and tells the text then."""
    taken: list[bytes] = []
    document: Document = base.with_updates([])

    def text_after(written: Sequence[WrittenBy]) -> str:
        nonlocal document
        more = [each.data for each in written]
        taken.extend(more)
        try:
            document.replay(more)
        except MustRebuild:
            document = base.with_updates(taken)
        return document.text(ROOT)

    return text_after
