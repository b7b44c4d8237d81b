"""Update logs that misbehave on purpose: wrap any implementation, and open windows that are hard to hit."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

import anyio

from crdt_store.effects import Effect
from crdt_store.update_log import Compaction, Head, LogUnavailable, Quarantined, Row, StoredRow, UpdateLog


class LogWrapper(UpdateLog):
    """Passes everything on, and remembers the documents of each append that was asked for."""

    def __init__(self, log: UpdateLog) -> None:
        self.log = log
        self.appends: list[list[Row]] = []

    async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
        self.appends.append(list(rows))
        await self.log.append(rows, effects)

    async def exists(self, document: str) -> bool:
        return await self.log.exists(document)

    async def head(self, document: str) -> Head:
        return await self.log.head(document)

    async def read(self, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
        async for stored in self.log.read(document, after=after):
            yield stored

    async def compact(self, document: str, compaction: Compaction) -> bool:
        return await self.log.compact(document, compaction)

    async def quarantine(
        self, document: str, entries: Sequence[tuple[int, int, str]], *, epoch: int, compacted_seq: int
    ) -> bool:
        return await self.log.quarantine(document, entries, epoch=epoch, compacted_seq=compacted_seq)

    async def quarantined(self, document: str) -> list[Quarantined]:
        return await self.log.quarantined(document)

    async def replace(self, row: Row, renamed: Mapping[int, int | None]) -> int:
        return await self.log.replace(row, renamed)

    async def documents(self, *, prefix: str = "", limit: int = 1000, after: str = "") -> list[str]:
        return await self.log.documents(prefix=prefix, limit=limit, after=after)

    async def delete(self, document: str, *, client_ids: Iterable[int] = ()) -> None:
        await self.log.delete(document, client_ids=client_ids)

    async def close(self) -> None:
        await self.log.close()


class SlowLog(LogWrapper):
    """Every append waits to be released."""

    def __init__(self, log: UpdateLog) -> None:
        super().__init__(log)
        self._gate = anyio.Event()
        self._arrival = anyio.Event()

    async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
        self.appends.append(list(rows))
        self._arrival.set()
        await self._gate.wait()
        await self.log.append(rows, effects)

    async def wait_appending(self, count: int = 1) -> None:
        """Until so many appends were asked for."""
        while len(self.appends) < count:
            self._arrival = anyio.Event()
            await self._arrival.wait()

    def release_waiting(self) -> None:
        """Let through the appends that wait now; later ones wait again."""
        self._gate.set()
        self._gate = anyio.Event()

    def release(self) -> None:
        """Be slow no longer."""
        self._gate.set()


class FailingLog(LogWrapper):
    """Refuses every append that contains a row of which `fails` is true, as long as it says so."""

    def __init__(self, log: UpdateLog, fails: Callable[[Row], bool]) -> None:
        super().__init__(log)
        self.fails = fails

    async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
        self.appends.append(list(rows))
        if any(self.fails(row) for row in rows):
            raise LogUnavailable("refused by the test")
        await self.log.append(rows, effects)
