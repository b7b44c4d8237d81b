"""SqlUpdateLog against MemoryUpdateLog: whatever is done in whatever order, both say the same."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from crdt_store.engine import create_engine
from crdt_store.memory import MemoryUpdateLog
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import WHOLE_ROW, LogUnavailable, Row, Update, UpdateLog, WrongEpoch
from crdt_store.users import UserDirectory
from tests.acceptance.log_rows import compaction_of, contents, opened, quarantine, stored_rows, stored_runs

T = TypeVar("T")

EXAMPLES, STEPS = 20, 25
NAMES = st.sampled_from(["a", "a", "a", "ab"])
COUNTS = st.one_of(st.none(), st.integers(1, 5))
WHICH = st.integers(0, 100)
MEANWHILE = ("append", "quarantine", "quarantine_row", "compact", "replace", "delete")
CLIENT_IDS = st.lists(st.integers(1, 6), max_size=3, unique=True).map(tuple)
AUTHORS = st.sampled_from([None, 1, 2])


async def outcome(operation: Awaitable[T]) -> T | type[Exception]:
    """What it returns, or the kind of exception that the interface names."""
    try:
        return await operation
    except WrongEpoch:
        return WrongEpoch
    except LogUnavailable:
        return LogUnavailable


async def find(log: UpdateLog, document: str, data: bytes) -> tuple[int, int]:
    """Where this log has the update: compaction may have packed it in another row than the other log's."""
    for stored in await stored_rows(log, document):
        for index, update in enumerate(stored.row.updates):
            if update.data == data:
                return stored.seq, stored.position(index)
    raise AssertionError(f"{data!r} is missing")


class TwoLogs(RuleBasedStateMachine):
    """Every step is done to both logs, and everything that can be read of its document is compared."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "costudio.db"
        self._written = 0
        self._next_id = 100

    @initialize()
    def begin(self) -> None:
        shutil.copy(self._migrated(), self._path)
        self._memory = MemoryUpdateLog()
        self._sql = SqlUpdateLog(create_engine(str(self._path)))

    _template: Path | None = None

    @classmethod
    def _migrated(cls) -> Path:
        """A database with two users, made once."""
        if cls._template is None:
            path = Path(tempfile.mkdtemp()) / "template.db"
            migrate(str(path))
            asyncio.run(_add_users(path))
            cls._template = path
        return cls._template

    def teardown(self) -> None:
        self._runner.run(self._sql.close())
        self._runner.close()
        self._folder.cleanup()

    # Steps

    @rule(
        name=NAMES,
        rows=st.lists(st.tuples(AUTHORS, CLIENT_IDS, st.integers(1, 3)), min_size=1, max_size=5),
    )
    def append(self, name: str, rows: list[tuple[int | None, tuple[int, ...], int]]) -> None:
        epoch = self._do(self._memory.head(name)).epoch
        written = [
            Row(name, author_id, client_ids, self._updates(count), epoch)
            for author_id, client_ids, count in rows
        ]
        self._same(lambda log: log.append(written), name)

    @rule(epochs_behind=st.sampled_from([-1, 1]))
    def append_to_another_epoch(self, epochs_behind: int) -> None:
        epochs = {name: self._do(self._memory.head(name)).epoch for name in ("a", "ab")}
        epochs["ab"] -= epochs_behind
        rows = [Row(name, None, (), self._updates(1), epoch) for name, epoch in epochs.items()]
        self._same(lambda log: log.append(rows), "a", "ab")

    @rule(name=NAMES, count=COUNTS, meanwhile=st.sampled_from([None, *MEANWHILE]), which=WHICH)
    def compact(self, name: str, count: int | None, meanwhile: str | None, which: int) -> None:
        """From rows that were read before something else happened."""
        self._need_rows(name)
        of_memory, of_sql = (self._do(compaction_of(log, name, count=count)) for log in self._logs)
        assert of_memory.rows == of_sql.rows
        if meanwhile == "append":
            self.append(name, [(None, (), 1)])
        elif meanwhile == "quarantine":
            self.quarantine(name, which)
        elif meanwhile == "quarantine_row":
            self.quarantine_row(name, which)
        elif meanwhile == "compact":
            self.compact(name, which % 3 + 1, None, 0)
        elif meanwhile == "replace":
            self.replace(name, True, False)
        elif meanwhile == "delete":
            self.delete(name, (1,), 0)
        self._same(lambda log: log.compact(name, of_memory if log is self._memory else of_sql), name)

    @rule(name=NAMES, which=WHICH)
    def quarantine(self, name: str, which: int) -> None:
        data = self._do(contents(self._memory, name))
        if data:
            chosen = data[which % len(data)]

            async def put_aside(log: UpdateLog) -> None:
                await quarantine(log, name, (*await find(log, name, chosen), "poison"))

            self._same(put_aside, name)

    @rule(name=NAMES, which=WHICH)
    def quarantine_row(self, name: str, which: int) -> None:
        self._need_rows(name)
        head = self._do(self._memory.head(name))
        rows = self._do(stored_rows(self._memory, name, after=head.compacted_seq))
        seq = rows[which % len(rows)].seq
        self._same(lambda log: quarantine(log, name, (seq, WHOLE_ROW, "poison")), name)

    @rule(name=NAMES, is_compacted=st.sampled_from([True, True, False]), unknown=st.booleans())
    def replace(self, name: str, is_compacted: bool, unknown: bool) -> None:
        if is_compacted:
            self.compact(name, None, None, 0)
        head = self._do(self._memory.head(name))
        renamed: dict[int, int | None] = {old: self._new_id() for old in sorted(head.authors)[:2]}
        if unknown:
            renamed[self._new_id()] = None
        row = Row(name, 1, (7,), self._updates(2), head.epoch)
        self._same(lambda log: log.replace(row, renamed), name)

    @rule(name=NAMES, client_ids=CLIENT_IDS, patience=st.integers(0, 3))
    def delete(self, name: str, client_ids: tuple[int, ...], patience: int) -> None:
        if not patience:  # rarely: what is deleted teaches nothing any more
            self._same(lambda log: log.delete(name, client_ids=client_ids), name)

    @rule()
    def reopen(self) -> None:
        self._do(self._sql.close())
        self._sql = SqlUpdateLog(create_engine(str(self._path)))
        for name in ("a", "ab"):
            self._compare(name)

    # What they have in common

    @property
    def _logs(self) -> tuple[UpdateLog, UpdateLog]:
        return self._memory, self._sql

    def _do(self, operation: Awaitable[T]) -> T:
        async def run() -> T:
            return await operation

        return self._runner.run(run())

    def _need_rows(self, name: str) -> None:
        head = self._do(self._memory.head(name))
        if not self._do(stored_rows(self._memory, name, after=head.compacted_seq)):
            self.append(name, [(1, (1, 2), 2), (2, (2, 3), 1)])

    def _same(self, operation: Callable[[UpdateLog], Awaitable[Any]], *names: str) -> None:
        in_memory, in_sql = (self._do(outcome(operation(log))) for log in self._logs)
        assert in_memory == in_sql
        for name in set(names):
            self._compare(name)

    def _compare(self, name: str) -> None:
        in_memory, in_sql = (self._do(_all_of(log, name)) for log in self._logs)
        assert in_memory == in_sql

    def _updates(self, count: int) -> tuple[Update, ...]:
        self._written += count
        return tuple(Update(b"%d." % (self._written - i), self._written) for i in range(count))

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id


async def _all_of(log: UpdateLog, name: str) -> dict[str, object]:
    """Everything that packing does not change."""
    head = await log.head(name)
    aside = await log.quarantined(name)
    return {
        "head": head,
        "runs": await stored_runs(log, name),
        "since the snapshot": await stored_rows(log, name, after=head.compacted_seq),
        "opened": await opened(log, name),
        "aside": sorted(entry.data for entry in aside if entry.position != WHOLE_ROW),
        "rows aside": [entry.seq for entry in aside if entry.position == WHOLE_ROW],
        "exists": await log.exists(name),
        "documents": await log.documents(),
    }


async def _add_users(path: Path) -> None:
    database = create_engine(str(path))
    assert [await UserDirectory(database).id_of("issuer", name, name) for name in "xy"] == [1, 2]
    await database.close()


TestTwoLogs = TwoLogs.TestCase
TestTwoLogs.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
