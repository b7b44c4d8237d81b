"""A WAL whose end was not written, or not as it was meant: what was acknowledged is there, the rest whole or not."""

import random
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import UpdateLog
from tests.acceptance.log_rows import compact, contents, opened, row

FRAME_BYTES = 24 + 4096
OFFSETS = 10  # at random, besides the ends of the frames

LAST: dict[str, Callable[[UpdateLog], Awaitable[object]]] = {
    "append": lambda log: log.append([row("a", b"3"), row("new", bytes(9000)), row("b", b"2")]),
    "compact": lambda log: compact(log, "a"),
    "replace": lambda log: log.replace(row("b", b"anew", bytes(9000)), {1: 11}),
    "quarantine": lambda log: log.quarantine("a", [(2, 0, "poison")], epoch=1, compacted_seq=0),
    "delete": lambda log: log.delete("a", client_ids=(1, 2)),
}


async def state(path: Path) -> dict[str, object]:
    log = SqlUpdateLog(create_engine(str(path)))
    found: dict[str, object] = {}
    for name in await log.documents():
        assert await opened(log, name) == await contents(log, name)
        found[name] = await contents(log, name), await log.head(name), await log.quarantined(name)
    await log.close()
    return found


def torn(wal: bytes, end: int) -> Iterator[bytes]:
    """The WAL with everything from somewhere after `end` on gone, damaged, or never written."""
    choose = random.Random(len(wal))
    frames = range(end, len(wal), FRAME_BYTES)
    offsets = {offset + shift for offset in frames for shift in (0, 24)}
    offsets |= {choose.randrange(end, len(wal)) for _ in range(OFFSETS)}
    for offset in sorted(offsets):
        yield wal[:offset]
        yield wal[:offset] + bytes(len(wal) - offset)
        yield wal[:offset] + choose.randbytes(len(wal) - offset)
        yield wal[:offset] + bytes([wal[offset] ^ 1 << choose.randrange(8)]) + wal[offset + 1 :]
    # Pages may reach the disk in any order: all but one of them.
    for offset in frames:
        yield wal[:offset] + bytes(FRAME_BYTES) + wal[offset + FRAME_BYTES :]


@pytest.mark.parametrize("name", LAST)
async def test_what_was_acknowledged_is_there_and_the_rest_whole_or_not_at_all(
    path: Path, tmp_path: Path, name: str
) -> None:
    wal = Path(f"{path}-wal")
    log = SqlUpdateLog(create_engine(str(path)))
    await log.append([row("a", b"1"), row("b", b"1"), row("a", b"2")])
    await compact(log, "b")
    acknowledged, acknowledged_file = wal.read_bytes(), path.read_bytes()  # noqa: ASYNC240
    await LAST[name](log)
    whole = wal.read_bytes()  # noqa: ASYNC240
    assert path.read_bytes() == acknowledged_file  # noqa: ASYNC240
    await log.close()
    assert whole.startswith(acknowledged)
    assert len(whole) >= len(acknowledged) + 2 * FRAME_BYTES

    async def found_in(wal_bytes: bytes) -> dict[str, object]:
        trial = tmp_path / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir()
        file = trial / "costudio.db"
        file.write_bytes(acknowledged_file)
        Path(f"{file}-wal").write_bytes(wal_bytes)  # noqa: ASYNC240
        return await state(file)

    before, after = await found_in(acknowledged), await found_in(whole)
    assert before != after
    unfinished = 0
    for wal_bytes in torn(whole, len(acknowledged)):
        found = await found_in(wal_bytes)
        assert found in (before, after)
        unfinished += found == before
    assert unfinished > OFFSETS
