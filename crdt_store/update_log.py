"""The seam to durable storage: an ordered log of updates for each document, its snapshots and its history.

Every implementation passes tests/acceptance/update_log_suite.py.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from crdt_store.effects import Effect


class LogUnavailable(Exception):
    """The store did not answer as it should."""


class Unconfirmed(LogUnavailable):
    """No answer came to a write that was complete: it may have been stored, or not."""


class WrongEpoch(LogUnavailable):
    """The document has been deleted or replaced since the writer opened it; nothing was stored."""


class BadDocumentName(LogUnavailable):
    """No document can have this name: it has a NUL, half a surrogate pair or too many bytes. Nothing was done."""


class DocumentDamaged(Exception):
    """The stored row `seq` of a document is missing, with all that is missing before it, or is not what was written.

    It is never served.
    """

    def __init__(self, document: str, seq: int, reason: str) -> None:
        super().__init__(f"{document!r}: row {seq}: {reason}")
        self.document = document
        self.seq = seq
        self.reason = reason


_MAX_CLIENT_ID = 2**53 - 1  # as in Yjs
_TIME_LIMIT = 2**63


class Update(NamedTuple):
    """One update, in its client's own bytes."""

    data: bytes
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one author did to one document within one flush: the unit that is stored and checksummed.

    `author_id` is an id of the users table, `run_id` one of the runs table if the author is an agent; `epoch` the one
    that the author's document had. Client ids have 53 bits, times 64. Raises ValueError.
    """

    document: str
    author_id: int | None
    client_ids: tuple[int, ...]
    updates: tuple[Update, ...]
    epoch: int = 1
    run_id: int | None = None

    def __post_init__(self) -> None:
        if not self.updates:
            raise ValueError("a row without an update")
        if self.client_ids and not 0 <= min(self.client_ids) <= max(self.client_ids) <= _MAX_CLIENT_ID:
            raise ValueError("a client id that is not of 53 bits")
        if any(not -_TIME_LIMIT <= update.received_at_ms < _TIME_LIMIT for update in self.updates):
            raise ValueError("a time that is not of 64 bits")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A `Row` and its place: `seq` grows in commit order within its document, over all its epochs.

    Compaction packs neighbours of one author and run into one row, which has the last one's seq. `positions`: which
    of the updates that were written the row still has, if some are in quarantine; None: all. `packed_seqs`: of a row
    that was packed, the seq under which each of its updates was stored.
    """

    seq: int
    row: Row
    positions: tuple[int, ...] | None = None
    packed_seqs: tuple[int, ...] | None = None

    @property
    def seqs(self) -> tuple[int, ...]:
        """The seq under which each of its updates was stored; of rows packed by earlier versions, the last one's."""
        return self.packed_seqs or (self.seq,) * len(self.row.updates)

    def position(self, index: int) -> int:
        """The number by which quarantine knows `row.updates[index]`."""
        return index if self.positions is None else self.positions[index]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document's whole state, standing for every row up to and including `seq`.

    `updates` are to be applied in their order; `summary` is for whoever made it.
    """

    seq: int
    updates: tuple[bytes, ...]
    summary: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """All about a document but its rows; what does not exist has epoch 1, or the next one after a deletion.

    `snapshot` is the newest one that is intact, `damage` says what is wrong with newer ones. `authors`: client id ->
    user, of what is compacted. `retired`: client ids of earlier epochs -> the one that stands for it now, if any.
    """

    epoch: int = 1
    last_seq: int = 0
    compacted_seq: int = 0
    snapshot: Snapshot | None = None
    authors: Mapping[int, int] = field(default_factory=dict)
    retired: Mapping[int, int | None] = field(default_factory=dict)
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compactor has made of the rows that it read after `after`: `rows`, all up to `snapshot.seq`.

    `base_seq`: the seq of the older snapshot to keep, the one that it went on from; None: the newest.
    """

    epoch: int
    after: int
    rows: Sequence[StoredRow]
    snapshot: Snapshot
    base_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An update that is kept, but in the document no more: number `position` of row `seq`; -1 is the whole row."""

    seq: int
    position: int
    error: str
    data: bytes
    found_at_ms: int


WHOLE_ROW = -1


class UpdateLog(ABC):
    """Ordered, durable updates per document. Whatever is given a document's name raises BadDocumentName too."""

    @abstractmethod
    async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
        """Store all rows in one transaction; when this returns they would survive a power cut.

        Their `effects` are stored in the same transaction, in this order, after all rows; to call `committed` is left
        to the caller. Rows of one document keep their order. A document exists from its first row on. Raises
        WrongEpoch when nothing was stored, LogUnavailable when all or nothing was.
        """

    @abstractmethod
    async def exists(self, document: str) -> bool:
        """Whether the document has been written, and not deleted since. Raises LogUnavailable."""

    @abstractmethod
    async def head(self, document: str) -> Head:
        """What there is to know before its rows are read. Raises LogUnavailable."""

    @abstractmethod
    def read(self, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
        """The rows of the current epoch with `seq > after`, in order, fetched in batches; those that compaction
        has moved are among them, what is in quarantine is not.

        What is committed while it runs is read too. Raises LogUnavailable (also when the document is deleted or
        replaced meanwhile), DocumentDamaged (also for a row that is missing); never ends early without raising.
        """

    @abstractmethod
    async def compact(self, document: str, compaction: Compaction) -> bool:
        """Make its snapshot the newest one and move exactly its rows to the history, in one transaction.

        False, and nothing done, if these are not all the rows there are between its ends: somebody else has
        compacted, deleted or replaced the document meanwhile, or has put some of them aside.
        An older snapshot is kept: the way back if this one gets damaged. Raises LogUnavailable.
        """

    @abstractmethod
    async def quarantine(
        self, document: str, entries: Sequence[tuple[int, int, str]], *, epoch: int, compacted_seq: int
    ) -> bool:
        """For each (seq, position, error): read update number `position` of row `seq` (or WHOLE_ROW) no more.

        `epoch`, `compacted_seq`: as the `head` had them that was asked for before the rows were read. False, and
        nothing done, if they have changed: compaction numbers rows and positions anew.
        Its bytes are kept with the error. WHOLE_ROW of a row that is missing stands for all that is missing before
        it; what else there is not is ignored. All in one transaction; idempotent. Raises LogUnavailable.
        """

    @abstractmethod
    async def quarantined(self, document: str) -> list[Quarantined]:
        """What was put aside, in order. Raises LogUnavailable."""

    @abstractmethod
    async def replace(self, row: Row, renamed: Mapping[int, int | None]) -> int:
        """Begin a new epoch, in which the row is all that the document holds; return its number.

        `row.epoch` is the epoch that ends, whose rows must all be compacted; a document that was deleted can be
        put back so. `renamed`: all client ids of the old content -> the ids that stand for them in the new one, if
        any; those retired earlier may be among them, if nothing stands for them yet. Raises LogUnavailable,
        WrongEpoch.
        """

    @abstractmethod
    async def documents(self, *, prefix: str = "", limit: int = 1000, after: str = "") -> list[str]:
        """At most `limit` names that begin with `prefix` and sort after `after`, in order of code points.

        Raises LogUnavailable, ValueError for a negative limit.
        """

    @abstractmethod
    async def delete(self, document: str, *, client_ids: Iterable[int] = ()) -> None:
        """Remove the document with rows, snapshots and history, if it exists; written again it has a new epoch.

        `client_ids`: all that its content names; only they are kept, as retired. Raises LogUnavailable.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let what has begun end, then release everything; idempotent. Then all raises LogUnavailable."""
