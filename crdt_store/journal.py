"""What one open document has still to store, gathered into rows for the group commit."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from crdt_store.effects import Effect
from crdt_store.update_log import LogUnavailable, Row, Update

MAX_ROW_BYTES = 2**20  # a row has more only if one update has
MAX_ROW_UPDATES = 1000


class Portion(NamedTuple):
    """Rows taken from a journal for one flush, and what they hold."""

    journal: "Journal"
    rows: list[Row]
    updates: int
    data_bytes: int
    effects: list[Effect]


class Journal:
    """The updates of one open document; `committed` and `submitted` count them, from its opening on.

    When storing fails, `on_failed` is called once, what is not stored is dropped, and more is refused: the
    document in memory is ahead of the log, so its room has to be opened again, with a new journal.
    """

    def __init__(
        self,
        document: str,
        epoch: int,
        *,
        on_submitted: "Callable[[Journal, int], None]",
        on_committed: Callable[[int], None],
        on_failed: Callable[[LogUnavailable], None],
    ) -> None:
        self.document = document
        self.epoch = epoch
        self.submitted = 0
        self.committed = 0
        self.unsettled_bytes = 0
        self.failure: LogUnavailable | None = None
        self.on_committed = on_committed
        self.on_failed = on_failed
        self._on_submitted = on_submitted
        self._rows: list[_GrowingRow] = []

    def append(
        self,
        data: bytes,
        *,
        author_id: int | None,
        client_ids: tuple[int, ...],
        received_at_ms: int,
        effects: Sequence[Effect] = (),
        run_id: int | None = None,
    ) -> int:
        """Hand over an update, without waiting; it is stored when `committed` reaches the number returned.

        Its `effects` are stored with it, after those of the updates before it.
        Raises LogUnavailable when the journal has failed or the group commit has ended.
        """
        if self.failure is not None:
            raise LogUnavailable(
                f"{self.document!r}: an update before this one was not stored"
            ) from self.failure
        self._on_submitted(self, len(data))
        if not self._rows or not self._rows[-1].accepts(author_id, run_id, len(data)):
            self._rows.append(_GrowingRow(author_id, run_id))
        self._rows[-1].add(Update(data, received_at_ms), client_ids)
        if effects:
            self._rows[-1].effects.extend(effects)
        self.unsettled_bytes += len(data)
        self.submitted += 1
        return self.submitted

    def is_settled(self, position: int) -> bool:
        """Whether the updates up to this one are stored, or never will be."""
        return self.committed >= position or self.failure is not None

    @property
    def has_waiting(self) -> bool:
        """Whether there are updates that no flush has taken yet."""
        return bool(self._rows)

    def take(self, max_bytes: int, max_rows: int) -> Portion:
        """Remove the oldest rows: as many as the limits allow, at least one."""
        rows: list[Row] = []
        effects: list[Effect] = []
        update_count = data_bytes = 0
        for following in self._rows[:max_rows]:
            if rows and data_bytes + following.data_bytes > max_bytes:
                break
            rows.append(following.finish(self.document, self.epoch))
            effects += following.effects
            update_count += len(following.updates)
            data_bytes += following.data_bytes
        del self._rows[: len(rows)]
        return Portion(self, rows, update_count, data_bytes, effects)

    def commit(self, portion: Portion) -> None:
        """Count what was taken as stored."""
        self.committed += portion.updates
        self.unsettled_bytes -= portion.data_bytes

    def fail(self, failure: LogUnavailable) -> None:
        """Give up all that is not stored, for good."""
        self.failure = failure
        self.unsettled_bytes = 0
        self._rows.clear()


class _GrowingRow:
    """A row that takes consecutive updates of one author, and of one run where that is an agent."""

    __slots__ = ("author_id", "client_ids", "data_bytes", "effects", "run_id", "updates")

    def __init__(self, author_id: int | None, run_id: int | None) -> None:
        self.author_id = author_id
        self.run_id = run_id
        self.client_ids: dict[int, None] = {}  # an ordered set
        self.updates: list[Update] = []
        self.effects: list[Effect] = []
        self.data_bytes = 0

    def accepts(self, author_id: int | None, run_id: int | None, data_bytes: int) -> bool:
        return (
            author_id == self.author_id
            and run_id == self.run_id
            and len(self.updates) < MAX_ROW_UPDATES
            and self.data_bytes + data_bytes <= MAX_ROW_BYTES
        )

    def add(self, update: Update, client_ids: tuple[int, ...]) -> None:
        self.updates.append(update)
        self.data_bytes += len(update.data)
        for client_id in client_ids:
            self.client_ids[client_id] = None

    def finish(self, document: str, epoch: int) -> Row:
        client_ids, updates = tuple(self.client_ids), tuple(self.updates)
        return Row(document, self.author_id, client_ids, updates, epoch, self.run_id)
