"""What has to be stored in one transaction with an update, besides the update."""

from typing import Protocol

from sqlalchemy import Connection

__all__ = ["Connection", "Effect"]

__all__ = ["Connection", "Effect"]  # who writes an effect need not know SQLAlchemy otherwise


class Effect(Protocol):
    """Handed over with an update (`Journal.append`), for a log with tables.

    A log that has none, `MemoryUpdateLog`, never calls `store`: what `committed` tells then is not there to be read.
    """

    def store(self, connection: Connection) -> None:
        """Write, in the transaction that stores the update; what this raises undoes it all and fails the document.

        On a database's thread, it may be. A transaction that fails may be run again from its start: whatever this
        remembers for `committed` it must overwrite.
        """

    def committed(self) -> None:
        """On the event loop, once, after the commit, just before the update's author hears of it. Must not wait.

        Not called if storing failed, nor if nobody knows whether it did.
        """
