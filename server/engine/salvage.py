"""Builds a document from stored updates although some of them are at fault, and says which.

A log that is whole is loaded as ever, in large batches. Only when that fails does each update go to the engine by
itself: a poisoned one is left out, and so is what never gets ready without it.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.engine.document import Document, EngineFailure, Incomplete, MustRebuild
from server.protocol.surrogates import SurrogateGuard
from server.protocol.update_shape import MalformedUpdate, check_update
from server.protocol.varint import MalformedBytes

logger = logging.getLogger(__name__)

BUILDS_ON_MISSING = "builds on an update that is missing"


@dataclass(frozen=True, slots=True)
class Fault:
    """An update of which nothing is in the document: its index in what was given, and why."""

    index: int
    error: str


class _Refused(Exception):
    """The engine failed on one update; its document is lost."""

    def __init__(self, index: int, error: str) -> None:
        super().__init__(error)
        self.index = index
        self.error = error


class SnapshotUnusable(Exception):
    """The snapshot itself cannot be applied, whatever comes after it."""


class SnapshotLike(Protocol):
    """`Document.encoding()` and `Document.summary()`, as they were stored."""

    @property
    def updates(self) -> Sequence[bytes]: ...
    @property
    def summary(self) -> bytes: ...


def salvage(
    updates: Sequence[bytes], snapshot: SnapshotLike | None = None, guard: SurrogateGuard | None = None
) -> tuple[Document, list[Fault]]:
    """The document that these updates make, oldest first, after the snapshot; the faults by ascending index.

    Raises SnapshotUnusable; MemoryError: an update is not at fault for what all of them together take.
    """
    before = () if snapshot is None else snapshot.updates
    try:
        if snapshot is None or guard is not None:
            return Document.load([*before, *updates], guard), []
        document = Document.of_snapshot(before, snapshot.summary)
        document.replay(updates)
    except (MalformedBytes, EngineFailure, MustRebuild, Incomplete):
        document, faults = load_singly([*before, *updates])
        return document, after_snapshot(faults, len(before))
    return document, []


def after_snapshot(faults: Iterable[Fault], snapshot_updates: int) -> list[Fault]:
    """The same faults, counted from the first update after a snapshot of so many. Raises SnapshotUnusable."""
    counted = [Fault(fault.index - snapshot_updates, fault.error) for fault in faults]
    if counted and counted[0].index < 0:
        raise SnapshotUnusable(counted[0].error)
    return counted


def load_singly(
    updates: Sequence[bytes],
    known_faults: Iterable[Fault] = (),
    before_each: Callable[[int, int], None] = lambda index, size_bytes: None,
) -> tuple[Document, list[Fault]]:
    """What `salvage` does when loading has failed. `known_faults` are left out unseen and reported again.

    `before_each` gets the index and the size of each update before the engine does. Costs half as much again as
    a normal load, and as much once more up to each update on which the engine fails. Raises MemoryError.
    """
    faults = {fault.index: fault.error for fault in known_faults}
    guard = SurrogateGuard()
    for index, update in enumerate(updates):
        if index not in faults:
            try:
                check_update(update)
            except MalformedUpdate as error:
                faults[index] = str(error)
            else:
                guard.admit(update)
    while True:
        queue = [(index, update) for index, update in enumerate(updates) if index not in faults]
        try:
            document, more = _apply_all(queue, guard, before_each)
        except _Refused as refused:
            faults[refused.index] = refused.error
        except MustRebuild:
            continue  # the guard has learnt of a cut, and will not raise for it again
        else:
            return document, [Fault(index, error) for index, error in sorted((faults | more).items())]


def _apply_all(
    queue: Sequence[tuple[int, bytes]], guard: SurrogateGuard, before_each: Callable[[int, int], None]
) -> tuple[Document, dict[int, str]]:
    """Apply updates of those indexes to a new document; return which are refused, or never get ready, and why.

    What is not ready waits until all have been seen, for a later one may bring what it lacks: clients resend.
    Raises _Refused, MustRebuild, MemoryError.
    """
    document = Document(guard)
    faults: dict[int, str] = {}
    partly: set[int] = set()
    clocks_before = -1
    while queue and clocks_before < (clocks_before := sum(document.contents.state.values())):
        waiting: list[tuple[int, bytes]] = []
        for index, update in queue:
            before_each(index, len(update))
            try:
                applied, rest = document.take_in(update)
            except MalformedUpdate as error:
                faults[index] = str(error)
            except EngineFailure as failure:
                if isinstance(failure.__cause__, MemoryError):
                    raise failure.__cause__ from None
                raise _Refused(index, str(failure)) from failure
            else:
                if applied:
                    partly.add(index)
                if rest is not None:
                    waiting.append((index, rest))
        queue = waiting
    for index, rest in queue:
        if index in partly:  # not a fault: the update is needed for the part that is there
            logger.error(
                "%d bytes of update %d build on something missing and are left out", len(rest), index
            )
    return document, faults | {index: BUILDS_ON_MISSING for index, _ in queue if index not in partly}
