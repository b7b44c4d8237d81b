"""Parts of a text that stay the same parts while it is edited, held by the ids of the characters around them.

Where such a part is in a later text is found by writing two marks into a replica of it, as a client that knew only
the text of then would have: the engine puts them where they belong. Its own positions count bytes and UTF-16 units in
turns, where a text is in several pieces.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from server.engine.marks import write_marks
from server.engine.text_edits import write_edits
from server.files.offsets import to_utf8
from server.files.versions import ROOT, FileState
from server.protocol.structs import Id, read_structs

_PROBE_ID = 2**53 - 2


class Region(NamedTuple):
    """What is between two characters; None: from the beginning, up to the end of the text."""

    after: Id | None
    before: Id | None


def regions_of(base: FileState, spans: Sequence[tuple[int, int]]) -> list[Region]:
    """The regions that are at these spans of the text, in code points. Raises EngineFailure."""
    length = len(base.text)
    places = sorted({start for start, _ in spans if start} | {end for _, end in spans if end < length})
    if not places:
        return [Region(None, None) for _ in spans]
    in_bytes = to_utf8(base.text, places)
    update = write_edits(base.content, ROOT, [(place, place, "x") for place in in_bytes], _PROBE_ID)
    around = dict(
        zip(places, ((each.origin, each.right_origin) for each in read_structs(update)[0]), strict=True)
    )
    return [
        Region(around[start][0] if start else None, around[end][1] if end < length else None)
        for start, end in spans
    ]


class Span(NamedTuple):
    """A region in some text: where it is, in code points."""

    text: str
    start: int
    end: int

    @property
    def said(self) -> str:
        return self.text[self.start : self.end]


def find(state: FileState, more: Sequence[bytes], regions: Sequence[Region]) -> list[Span]:
    """Where the regions are in the file with these updates too. Takes time by its size. Raises EngineFailure."""
    content = state.with_updates(more).contents.state
    key = f"\ue0f0{_digest([*state.content, *more])}"  # nobody's text can have it
    behind = [(each.after, f"{key}<{nth};") for nth, each in enumerate(regions) if each.after is not None]
    before = [(each.before, f"{key}>{nth};") for nth, each in enumerate(regions) if each.before is not None]
    text = state.with_updates([*more, write_marks(content, behind, before)]).text(ROOT)
    pieces: list[str] = []
    found: dict[tuple[str, int], int] = {}
    length = done = 0
    for mark in re.finditer(f"{key}([<>])([0-9]+);", text):
        pieces.append(text[done : mark.start()])
        length += mark.start() - done
        done = mark.end()
        found[mark[1], int(mark[2])] = length
    clean = "".join((*pieces, text[done:]))
    spans = []
    for nth in range(len(regions)):
        start = found.get(("<", nth), 0)
        spans.append(Span(clean, start, max(start, found.get((">", nth), len(clean)))))
    return spans


def _digest(updates: Sequence[bytes]) -> str:
    digest = blake2b(digest_size=8)
    for update in updates:
        digest.update(update)
    return digest.hexdigest()
