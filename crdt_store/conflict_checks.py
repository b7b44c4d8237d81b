"""The jobs that look whether a change of a file meets what others had changed: written with the change itself.

So no crash between the two can hide a conflict. Who looks at once, to answer whoever made the change, discards the
job with what it stores.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple, Self

from sqlalchemy import Connection, delete

from crdt_store.jobs import Job, enqueue
from crdt_store.places import find
from crdt_store.tables import jobs

FILE_CONFLICTS = "file_conflicts"


class ConflictCheck(NamedTuple):
    """A change, which is the update with this `digest` (hex), and what its author had not seen: one of three.

    `version`: what its author had read. `lacked`: an encoded state vector (hex), from which clocks on its author
    lacked what was there. `since_ms`: when the file was locked, and when the author was first held.
    `write_id` names the change's conflicts.
    """

    document: str
    epoch: int
    author_id: int
    digest: str
    write_id: int
    version: str | None = None
    lacked: str | None = None
    since_ms: Sequence[int] = ()

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(**json.loads(job.payload))

    @property
    def _key(self) -> str:
        return f"{self.document} {self.epoch} {self.write_id}"


def enqueue_check(connection: Connection, check: ConflictCheck, due_at_ms: int) -> None:
    """Have it looked at, not before then."""
    enqueue(connection, FILE_CONFLICTS, check._asdict(), due_at_ms, check._key)


def discard_check(connection: Connection, check: ConflictCheck) -> None:
    """It was looked at; whoever has claimed the job meanwhile finds the same."""
    is_it = jobs.c.kind == FILE_CONFLICTS, jobs.c.dedupe_key == check._key
    connection.execute(delete(jobs).where(*is_it))


def is_newest(connection: Connection, document: str, seq: int) -> bool:
    """Whether only the row that this transaction stores has come after that one."""
    place = find(connection, document)
    return place is not None and place.last_seq <= seq + 1
