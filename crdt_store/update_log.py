"""The seam to durable storage: an ordered log of updates for each document, its snapshots and its history.

Every implementation passes tests/acceptance/update_log_suite.py.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


class LogUnavailable(Exception):
    """The store did not answer as it should. A write may have been stored: to repeat it is harmless."""


class WrongEpoch(LogUnavailable):
    """The document has been deleted or replaced since the writer opened it; nothing was stored."""


class DocumentDamaged(Exception):
    """The stored row `seq` of a document is missing, or is not what was written. It is never served."""

    def __init__(self, document: str, seq: int, reason: str) -> None:
        super().__init__(f"{document!r}: row {seq}: {reason}")
        self.document = document
        self.seq = seq
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Update:
    """One update, in its client's own bytes."""

    data: bytes
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one author did to one document within one flush: the unit that is stored and checksummed.

    `author_id` is an id of the users table, `epoch` the one that the author's document had.
    """

    document: str
    author_id: int | None
    client_ids: tuple[int, ...]
    updates: tuple[Update, ...]
    epoch: int = 1

    def __post_init__(self) -> None:
        if not self.updates:
            raise ValueError("a row without an update")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A `Row` and its place: `seq` grows in commit order within its document, over all its epochs.

    Compaction packs neighbours of one author into one row, which has the last one's seq. `positions`: which of
    the updates that were written the row still has, if some are in quarantine; None: all.
    """

    seq: int
    row: Row
    positions: tuple[int, ...] | None = None

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
    """What a compactor has made of the rows that it read after `after`: `rows`, all up to `snapshot.seq`."""

    epoch: int
    after: int
    rows: Sequence[StoredRow]
    snapshot: Snapshot


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
    """Ordered, durable updates per document."""

    @abstractmethod
    async def append(self, rows: Sequence[Row]) -> None:
        """Store all rows in one transaction; when this returns they would survive a power cut.

        Rows of one document keep their order. A document exists from its first row on.
        Raises LogUnavailable, WrongEpoch, DocumentDamaged: nothing was stored.
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

        False, and nothing done, if somebody else has compacted, deleted or replaced the document meanwhile.
        The snapshot before is kept: the way back if this one gets damaged. Raises LogUnavailable.
        """

    @abstractmethod
    async def quarantine(self, document: str, entries: Sequence[tuple[int, int, str]]) -> None:
        """For each (seq, position, error): read update number `position` of row `seq` (or WHOLE_ROW) no more.

        Its bytes are kept with the error. All in one transaction; idempotent. Raises LogUnavailable.
        """

    @abstractmethod
    async def quarantined(self, document: str) -> list[Quarantined]:
        """What was put aside, in order. Raises LogUnavailable."""

    @abstractmethod
    async def replace(self, row: Row, renamed: Mapping[int, int | None]) -> int:
        """Begin a new epoch, in which the row is all that the document holds; return its number.

        `row.epoch` is the epoch that ends, whose rows must all be compacted. `renamed`: all client ids of the old
        content -> the ids that stand for them in the new one, if any. Raises LogUnavailable, WrongEpoch.
        """

    @abstractmethod
    async def documents(self, *, prefix: str = "", limit: int = 1000, after: str = "") -> list[str]:
        """At most `limit` names that begin with `prefix` and sort after `after`, in order of code points.

        Raises LogUnavailable.
        """

    @abstractmethod
    async def delete(self, document: str, *, client_ids: Iterable[int] = ()) -> None:
        """Remove the document with rows, snapshots and history, if it exists; written again it has a new epoch.

        `client_ids`: all that its content names; only they are kept, as retired. Raises LogUnavailable.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let what has begun end, then release everything; idempotent. Then all raises LogUnavailable."""
