"""Group commit: one transaction stores what all open documents have gathered while the one before it ran.

What comes after a pause is stored at once; while much comes, a transaction follows the one before it after a window,
for each costs the same however little it stores (0.3 ms of CPU with SQLite, and a sync of the disk).
"""

import logging
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import ParamSpec, Self

import anyio

from crdt_store.effects import Effect
from crdt_store.journal import Journal, Portion
from crdt_store.pace import Pace
from crdt_store.update_log import LogUnavailable, Row, Unconfirmed, UpdateLog

P = ParamSpec("P")

_MAX_FLUSH_BYTES = 8 * 2**20  # more only if one row has
_MAX_FLUSH_ROWS = 1000
_URGENT_BYTES = 2**20  # so much does not wait for a window
_HANGING_SECONDS = 5.0  # a store that takes so long to fail is not asked for every document in turn

logger = logging.getLogger(__name__)


class GroupCommit:
    """Owns the task that writes to the log; an async context manager, whose end waits until all is settled.

    At its end it waits no longer than `close_seconds`; what is not stored by then has failed.
    """

    def __init__(
        self,
        log: UpdateLog,
        *,
        max_pending_bytes: int,
        max_window_seconds: float = 0.0,
        close_seconds: float = 8.0,
        on_stored: Callable[[str, int, int], None] = lambda document, updates, data_bytes: None,
    ) -> None:
        """`max_window_seconds` bounds how long an update waits for others to be stored with.

        `on_stored(document, updates, bytes)` is called after each flush, for each of its documents."""
        self._log = log
        self._on_stored = on_stored
        self._max_pending_bytes = max_pending_bytes
        self._close_seconds = close_seconds
        self._pace = Pace()
        self._max_window_seconds = max_window_seconds
        self._waiting: dict[Journal, None] = {}  # those with pending updates, the longest waiting first
        self._flushing: tuple[Portion, ...] = ()
        self._pending_bytes = 0
        self._relief: list[Callable[[], None]] = []
        self._closing = False
        self._work = anyio.Event()
        self._urgent = anyio.Event()
        self._progress = anyio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        # Shielded: whoever cancels the server must not cut off a transaction that members wait for.
        self._flusher = anyio.CancelScope(shield=True)
        self._tasks.start_soon(self._flush_until_cancelled)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._closing = True
        try:
            with anyio.move_on_after(self._close_seconds, shield=True):
                await self.drain()
        finally:
            self._flusher.cancel()
            self._fail(self._unsettled(), LogUnavailable("the server ended before this was stored"))
            self._announce_progress()
            # The task group would wrap an error of the body, which is none of its own, in an ExceptionGroup.
            cancelled = isinstance(error, anyio.get_cancelled_exc_class())
            details = (kind, error, trace) if cancelled else (None, None, None)
            suppressed = await self._tasks.__aexit__(*details)
        return suppressed

    def journal(
        self,
        document: str,
        on_committed: Callable[[int], None],
        on_failed: Callable[[LogUnavailable], None],
        *,
        epoch: int = 1,
    ) -> Journal:
        """A handle for a document that was just opened, in this epoch.

        After each flush `on_committed` gets the number of updates stored so far. Both are called on the event
        loop and must not wait.
        """
        return Journal(
            document, epoch, on_submitted=self._submit, on_committed=on_committed, on_failed=on_failed
        )

    @property
    def pending_bytes(self) -> int:
        """Bytes of updates that are neither stored nor given up."""
        return self._pending_bytes

    @property
    def saturated(self) -> bool:
        """Whether the log is so far behind that rooms should stop reading from sockets until `on_relief`."""
        return self._pending_bytes > self._max_pending_bytes

    def on_relief(self, callback: Callable[[], None]) -> None:
        """Call back once, when no more than half of `max_pending_bytes` is pending: now, if so already."""
        self._relief.append(callback)
        self._relieve()

    async def drain(self) -> None:
        """Wait until everything submitted before this call is stored or has failed."""
        self._urgent.set()
        targets = [(journal, journal.submitted) for journal in self._unsettled()]
        while targets := [(journal, end) for journal, end in targets if not journal.is_settled(end)]:
            await self._progress.wait()

    def _submit(self, journal: Journal, data_bytes: int) -> None:
        if self._closing:
            raise LogUnavailable("the server is stopping")
        self._pending_bytes += data_bytes
        self._waiting[journal] = None
        if not self._work.is_set():
            self._work.set()
        if self._pending_bytes > _URGENT_BYTES:
            self._urgent.set()

    async def _flush_until_cancelled(self) -> None:
        with self._flusher:
            while True:
                await self._work.wait()
                await self._wait_for_more()
                self._flushing = self._take()
                updates = sum(portion.updates for portion in self._flushing)
                self._pace.left(time.monotonic(), updates, self._max_window_seconds)
                await self._flush(self._flushing)
                self._flushing = ()
                self._announce_progress()

    async def _wait_for_more(self) -> None:
        seconds = self._pace.wait_seconds(time.monotonic(), self._max_window_seconds)
        if seconds > 0 and not self._urgent.is_set():
            with anyio.move_on_after(seconds):
                await self._urgent.wait()
        self._urgent = anyio.Event()

    def _take(self) -> tuple[Portion, ...]:
        """The oldest rows of each waiting journal, within the limits; what is left over waits at the end."""
        portions: list[Portion] = []
        bytes_left, rows_left = _MAX_FLUSH_BYTES, _MAX_FLUSH_ROWS
        for journal in list(self._waiting):
            portion = journal.take(bytes_left, rows_left)
            portions.append(portion)
            del self._waiting[journal]
            if journal.has_waiting:
                self._waiting[journal] = None
            bytes_left -= portion.data_bytes
            rows_left -= len(portion.rows)
            if bytes_left <= 0 or rows_left <= 0:
                break
        if not self._waiting:
            self._work = anyio.Event()
        else:  # more than one flush takes: it has waited long enough
            self._urgent.set()
        return tuple(portions)

    async def _flush(self, portions: Sequence[Portion]) -> None:
        if not portions:  # all that was waiting has failed meanwhile
            return
        failure = await self._append(
            [row for portion in portions for row in portion.rows],
            [effect for portion in portions for effect in portion.effects],
        )
        if failure is None:
            for portion in portions:
                self._commit(portion)
        elif len(portions) == 1 or isinstance(failure, Unconfirmed):  # which may not be repeated
            self._fail([portion.journal for portion in portions], failure)
        else:
            await self._flush_one_by_one(portions)

    async def _flush_one_by_one(self, portions: Sequence[Portion]) -> None:
        """A row that the log refuses must only cost its own document."""
        for index, portion in enumerate(portions):
            began = anyio.current_time()
            failure = await self._append(portion.rows, portion.effects)
            if failure is None:
                self._commit(portion)
                continue
            self._fail([portion.journal], failure)
            if anyio.current_time() - began >= _HANGING_SECONDS:
                untried = [portion.journal for portion in portions[index + 1 :]]
                self._fail(untried, LogUnavailable("the store did not answer in time"))
                return

    async def _append(self, rows: list[Row], effects: list[Effect]) -> LogUnavailable | None:
        """Append; return why it failed. Any other fault counts as the log's, or all saving would end."""
        try:
            await self._log.append(rows, effects)
        except LogUnavailable as error:
            logger.warning("%d rows were not stored: %s", len(rows), error)
            return error
        except Exception as error:
            logger.exception("%d rows were not stored: %s", len(rows), type(error).__name__)
            failure = LogUnavailable(f"{type(error).__name__}: {error}")
            failure.__cause__ = error
            return failure
        return None

    def _commit(self, portion: Portion) -> None:
        journal = portion.journal
        if journal.failure is not None:  # given up at the end, a moment before the answer came
            return
        journal.commit(portion)
        self._release(portion.data_bytes)
        for effect in portion.effects:
            _call(effect.committed)
        _call(journal.on_committed, journal.committed)
        _call(self._on_stored, journal.document, portion.updates, portion.data_bytes)

    def _fail(self, journals: Sequence[Journal], failure: LogUnavailable) -> None:
        for journal in journals:
            if journal.failure is not None:
                continue
            self._waiting.pop(journal, None)
            released = journal.unsettled_bytes
            journal.fail(failure)
            self._release(released)
            _call(journal.on_failed, failure)

    def _release(self, data_bytes: int) -> None:
        self._pending_bytes -= data_bytes
        self._relieve()

    def _relieve(self) -> None:
        if self._pending_bytes * 2 <= self._max_pending_bytes:
            callbacks, self._relief = self._relief, []
            for callback in callbacks:
                _call(callback)

    def _unsettled(self) -> list[Journal]:
        """Every journal with something that is neither stored nor failed."""
        flushing = [portion.journal for portion in self._flushing]
        return [
            journal
            for journal in dict.fromkeys([*flushing, *self._waiting])
            if not journal.is_settled(journal.submitted)
        ]

    def _announce_progress(self) -> None:
        self._progress.set()
        self._progress = anyio.Event()


def _call(callback: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """A fault in one document's callback is no reason to harm the others."""
    try:
        callback(*args, **kwargs)
    except Exception as error:
        logger.exception("a callback raised %s", type(error).__name__)
