"""What the database says of people, and of what they may do."""

from typing import NamedTuple, Self

from crdt_store.engine import Database
from crdt_store.memberships import Memberships
from crdt_store.projects import Projects
from crdt_store.revocations import Revocations
from crdt_store.runs import Runs
from crdt_store.tickets import Tickets
from crdt_store.users import UserDirectory


class Stores(NamedTuple):
    """All of them on one database."""

    users: UserDirectory
    projects: Projects
    memberships: Memberships
    tickets: Tickets
    revocations: Revocations
    runs: Runs

    @classmethod
    def on(cls, database: Database) -> Self:
        """Made for this database, which must have its tables."""
        return cls(
            UserDirectory(database),
            Projects(database),
            Memberships(database),
            Tickets(database),
            Revocations(database),
            Runs(database),
        )
