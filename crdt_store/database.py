"""What the store asks of a database."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from crdt_store.update_log import LogUnavailable

T = TypeVar("T")


class Conflict(LogUnavailable):
    """Another writer or a constraint refused the write, and nothing of it was stored."""


class Database(ABC):
    """Transactions are plain functions over a SQLAlchemy `Connection`; they may be run again from their start."""

    @abstractmethod
    async def write(self, body: Callable[[Connection], T]) -> T:
        """Run `body` in a transaction and commit it, durably.

        What it reads and means to change it locks with FOR UPDATE, where writers run beside each other.
        An exception of `body` rolls back. A cancelled caller does not learn whether it was committed.
        Raises LogUnavailable; Unconfirmed if it may be committed all the same, which must not be repeated blindly;
        Conflict when a constraint or another writer refused it.
        """

    @abstractmethod
    async def read(self, body: Callable[[Connection], T]) -> T:
        """Run `body` on one consistent state of the database, in which it cannot write. Raises LogUnavailable."""

    @abstractmethod
    async def close(self) -> None:
        """Wait for what runs or waits, then release everything; idempotent. Afterwards all is LogUnavailable."""
