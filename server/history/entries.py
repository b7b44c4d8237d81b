"""The history as people read it: who wrote when, and how much, in one go."""

from collections.abc import Iterable
from typing import NamedTuple

from server.history.changes import Change

GAP_MS = 5 * 60 * 1000
"""Changes of one author with a longer rest between them are of different entries."""


class Entry(NamedTuple):
    """What one author did in one go: `changes` updates of so many bytes, in the rows `first_seq` to `last_seq`."""

    first_seq: int
    last_seq: int
    author_id: int | None
    from_ms: int
    to_ms: int
    changes: int
    size_bytes: int


def entries_of(changes: Iterable[Change], *, gap_ms: int = GAP_MS) -> list[Entry]:
    """In order. A row's changes are never of two entries."""
    entries: list[Entry] = []
    for change in changes:
        last = entries[-1] if entries else None
        is_same = last is not None and (
            change.seq == last.last_seq
            or (change.author_id == last.author_id and change.at_ms - last.to_ms <= gap_ms)
        )
        if last is not None and is_same:
            entries[-1] = last._replace(
                last_seq=change.seq,
                to_ms=max(change.at_ms, last.to_ms),
                changes=last.changes + 1,
                size_bytes=last.size_bytes + len(change.data),
            )
        else:
            at_ms = change.at_ms
            entries.append(Entry(change.seq, change.seq, change.author_id, at_ms, at_ms, 1, len(change.data)))
    return entries
