"""Runs of agents: which there are, what each has written where, and what people have decided of it."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select, update

from crdt_store.engine import Conflict, Database
from crdt_store.tables import documents, held_edits, run_documents, runs, users

MAX_LISTED = 200
_MAX_ID = 2**63 - 1


class NewRun(NamedTuple):
    """`user_id` and `run`, as the user's tokens call it, name a run; the rest is kept as it was said first."""

    user_id: int
    run: str
    agent: str
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """`id` stands for it in every table. `issuer`, `user_name`: of its user."""

    id: int
    user_id: int
    run: str
    agent: str
    on_behalf_of: str | None
    started_at_ms: int
    issuer: str
    user_name: str


class Use(NamedTuple):
    """What a run has written, and in which documents; what of it is held counts too."""

    edits: int
    size_bytes: int
    documents: frozenset[str]


@dataclass(frozen=True, slots=True)
class RunPart:
    """What a run has written in one document. `state`: see `crdt_store.run_edits`."""

    run: StoredRun
    document: str
    edits: int
    size_bytes: int
    first_at_ms: int
    last_at_ms: int
    state: str
    decided_by: int | None
    decided_at_ms: int | None


class Runs:
    """Those of a database. All raise LogUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, new: NewRun, now_ms: int) -> tuple[int, Use]:
        """The run's id, made on first use, and what it has written so far."""
        begin = partial(_begin, new=new, now_ms=now_ms)
        try:
            return await self._database.write(begin)
        except Conflict:  # another process made it at the same moment: now it is found
            return await self._database.write(begin)

    async def find(self, run_id: int) -> StoredRun | None:
        """The run of this id."""
        found = await self._runs(_RUNS.where(runs.c.id == _possible(run_id)))
        return found[0] if found else None

    async def named(self, run: str) -> list[StoredRun]:
        """Those that tokens call so, of each user one at most: the oldest first, MAX_LISTED at most."""
        return await self._runs(_RUNS.where(runs.c.run == run).order_by(runs.c.id).limit(MAX_LISTED))

    async def of_document(
        self, document: str, *, before: int | None = None, limit: int = MAX_LISTED
    ) -> list[RunPart]:
        """Which runs have written in it, the newest first: those with an id below `before`."""
        query = _PARTS.where(documents.c.name == document)
        if before is not None:
            query = query.where(runs.c.id < before)
        return await self._parts(query.order_by(runs.c.id.desc()).limit(min(limit, MAX_LISTED + 1)))

    async def parts_of(self, run_id: int, *, after: str = "", limit: int = MAX_LISTED) -> list[RunPart]:
        """Where a run has written: documents whose names sort after `after`, in order of code points."""
        query = _PARTS.where(runs.c.id == _possible(run_id), documents.c.name > after)
        return await self._parts(query.order_by(documents.c.name).limit(min(limit, MAX_LISTED + 1)))

    async def part(self, run_id: int, document: str) -> RunPart | None:
        """What a run has written in this document."""
        found = await self._parts(_PARTS.where(runs.c.id == _possible(run_id), documents.c.name == document))
        return found[0] if found else None

    async def decide(self, part: RunPart, state: str, user_id: int, now_ms: int) -> bool:
        """Keep what a user has decided of the part; False if the run has written more since it was read."""
        return await self._database.write(
            partial(_decide, part=part, state=state, user_id=user_id, now_ms=now_ms)
        )

    async def _runs(self, query: Select[Any]) -> list[StoredRun]:
        return await self._database.read(
            lambda connection: [StoredRun(*record) for record in connection.execute(query)]
        )

    async def _parts(self, query: Select[Any]) -> list[RunPart]:
        return await self._database.read(
            lambda connection: [
                RunPart(StoredRun(*record[:_RUN_COLUMNS]), *record[_RUN_COLUMNS:])
                for record in connection.execute(query)
            ]
        )


_RUNS = select(
    runs.c.id,
    runs.c.user_id,
    runs.c.run,
    runs.c.agent,
    runs.c.on_behalf_of,
    runs.c.started_at_ms,
    users.c.issuer,
    users.c.name,
).join(users, users.c.id == runs.c.user_id)
_RUN_COLUMNS = 8
_PARTS = (
    _RUNS.add_columns(
        documents.c.name,
        run_documents.c.edits,
        run_documents.c.size_bytes,
        run_documents.c.first_at_ms,
        run_documents.c.last_at_ms,
        run_documents.c.state,
        run_documents.c.decided_by,
        run_documents.c.decided_at_ms,
    )
    .join(run_documents, run_documents.c.run_id == runs.c.id)
    .join(documents, documents.c.id == run_documents.c.document_id)
    .where(documents.c.deleted.is_(False))
)


def _begin(connection: Connection, new: NewRun, now_ms: int) -> tuple[int, Use]:
    query = select(runs.c.id).where(runs.c.user_id == new.user_id, runs.c.run == new.run)
    run_id: int | None = connection.scalar(query)
    if run_id is None:
        values = {**new._asdict(), "started_at_ms": now_ms}
        run_id = connection.execute(insert(runs).returning(runs.c.id), values).scalar_one()
        return run_id, Use(0, 0, frozenset())
    written = (
        select(documents.c.name, run_documents.c.edits, run_documents.c.size_bytes)
        .join(documents, documents.c.id == run_documents.c.document_id)
        .where(run_documents.c.run_id == run_id)
    )
    held = (
        select(held_edits.c.document, func.count(), func.sum(func.length(held_edits.c.data)))
        .where(held_edits.c.run_id == run_id)
        .group_by(held_edits.c.document)
    )
    parts = [*connection.execute(written), *connection.execute(held)]
    names = frozenset(name for name, _, _ in parts)
    return run_id, Use(sum(edits for _, edits, _ in parts), sum(size for _, _, size in parts), names)


def _decide(connection: Connection, part: RunPart, state: str, user_id: int, now_ms: int) -> bool:
    document = select(documents.c.id).where(documents.c.name == part.document).scalar_subquery()
    decided = (
        update(run_documents)
        .where(
            run_documents.c.run_id == part.run.id,
            run_documents.c.document_id == document,
            run_documents.c.edits == part.edits,
        )
        .values(state=state, decided_by=user_id, decided_at_ms=now_ms)
    )
    return connection.execute(decided).rowcount > 0


def _possible(run_id: int) -> int:
    """The id, or 0, which no run has: databases fail at numbers that do not fit."""
    return run_id if 0 < run_id <= _MAX_ID else 0
