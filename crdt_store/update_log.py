"""The seam to durable storage: an ordered log of updates for each document.

Every implementation passes tests/acceptance/update_log_suite.py.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass


class LogUnavailable(Exception):
    """The store did not answer as it should. A write may have been stored: to repeat it is harmless."""


class DocumentDamaged(Exception):
    """A stored row does not match its checksum; the message names document and row. It is never served."""


@dataclass(frozen=True, slots=True)
class Update:
    """One update, in its client's own bytes."""

    data: bytes
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one author did to one document within one flush: the unit that is stored and checksummed.

    `author_id` is an id of the users table; there is at least one update.
    """

    document: str
    author_id: int | None
    client_ids: tuple[int, ...]
    updates: tuple[Update, ...]

    def __post_init__(self) -> None:
        if not self.updates:
            raise ValueError("a row without an update")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A `Row` and its place: `seq` starts at 1, has no holes, and is in commit order within its document."""

    seq: int
    row: Row


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document's whole state as one update, standing for every row up to and including `seq`."""

    seq: int
    data: bytes


class UpdateLog(ABC):
    """Ordered, durable updates per document."""

    @abstractmethod
    async def append(self, rows: Sequence[Row]) -> None:
        """Store all rows in one transaction; when this returns they would survive a power cut.

        Rows of one document keep their order. A document exists from its first row on.
        Raises LogUnavailable, DocumentDamaged: nothing was stored.
        """

    @abstractmethod
    async def exists(self, document: str) -> bool:
        """Whether the document has ever been written. Raises LogUnavailable."""

    @abstractmethod
    async def snapshot(self, document: str) -> Snapshot | None:
        """The newest snapshot, if there is one. Raises LogUnavailable, DocumentDamaged."""

    @abstractmethod
    def read(self, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
        """The rows with `seq > after`, in order, fetched in batches; none if there is no such document.

        What is committed while it runs is read too. Raises LogUnavailable (also when the document is deleted
        meanwhile), DocumentDamaged (also for a row that is missing); never ends early without raising.
        """

    @abstractmethod
    async def write_snapshot(self, document: str, snapshot: Snapshot) -> bool:
        """Make this the newest snapshot and return True.

        False, and nothing written, if one of a higher or equal seq is there, or if the document ends before
        `seq` (it was deleted meanwhile). Raises LogUnavailable.
        """

    @abstractmethod
    async def documents(self, *, prefix: str = "", limit: int = 1000, after: str = "") -> list[str]:
        """At most `limit` names that begin with `prefix` and sort after `after`, in order of code points.

        Raises LogUnavailable.
        """

    @abstractmethod
    async def delete(self, document: str) -> None:
        """Remove the document, its rows and snapshots, if it exists. Raises LogUnavailable."""

    @abstractmethod
    async def close(self) -> None:
        """Let what has begun end, then release everything; idempotent. Then all raises LogUnavailable."""
