"""kill -9 at every single step of what changes several tables: all of it is done, or nothing."""

import asyncio
import multiprocessing
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest

from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import UpdateLog
from tests.acceptance.log_rows import compact, quarantine, row
from tests.crdt_store.failing_disk import Fault, failing_connection
from tests.crdt_store.test_torn_wal import state

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.crdt_store.test_compaction_crash"])

CHANGES: dict[str, Callable[[UpdateLog], Awaitable[object]]] = {
    "compact": lambda log: compact(log, "a"),
    "replace": lambda log: log.replace(row("b", b"anew"), {1: 11, 2: None}),
    "quarantine": lambda log: log.quarantine("a", [(2, 0, "poison")], epoch=1, compacted_seq=1),
    "delete": lambda log: log.delete("a", client_ids=(1, 2)),
}


class Death(Fault):
    """Kills its process instead of failing."""

    def step(self) -> None:
        if self.steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.steps_left is not None:
            self.steps_left -= 1


def change_and_die(path: str, name: str, steps: int) -> None:
    """Die before step `steps`, or end well if there are fewer."""
    asyncio.run(_change_and_die(path, name, steps))


async def _change_and_die(path: str, name: str, steps: int) -> None:
    death = Death()
    log = SqlUpdateLog(create_engine(path, connection_class=failing_connection(death)))
    await log.exists("a")
    death.steps_left = steps
    await CHANGES[name](log)
    death.steps_left = None
    await log.close()


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_that_was_cut_off_is_done_whole_or_not_at_all(
    path: Path, tmp_path: Path, name: str
) -> None:
    log = SqlUpdateLog(create_engine(str(path)))
    await log.append([row("a", b"1"), row("a", b"2", b"3"), row("b", b"1", client_ids=(1,))])
    await compact(log, "a", count=1)
    await compact(log, "b")
    await log.append([row("a", b"4")])
    await quarantine(log, "a", (3, 0, "poison"))
    await log.close()
    before = await state(path)
    for steps in count():
        trial = tmp_path / f"{steps}.db"
        shutil.copy(path, trial)
        child = processes.Process(target=change_and_die, args=(str(trial), name, steps))
        child.start()
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        assert await state(trial) == before
    assert await state(trial) != before
    assert steps > 4
