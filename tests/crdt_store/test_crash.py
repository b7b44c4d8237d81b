"""kill -9 at any moment: what was acknowledged is there, once, in order, and so is everything before it."""

import asyncio
import multiprocessing
import random
from collections import defaultdict
from pathlib import Path

from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from tests.acceptance.update_log_suite import contents
from tests.crdt_store.crash_child import DOCUMENTS, edit_for_ever

TURNS = 20
SEED = 1

# Forked from a process that has loaded everything, so that a turn takes milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.crdt_store.crash_child"])


def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    moments = random.Random(SEED)
    stored_before: dict[str, list[bytes]] = {name: [] for name in DOCUMENTS}
    acknowledged_in_all = 0
    for turn in range(TURNS):
        acknowledged = _edit_until_killed(path, turn, after_acks=moments.randrange(40))
        acknowledged_in_all += sum(acknowledged.values())
        stored = asyncio.run(_read(path))
        for name in DOCUMENTS:
            before = stored_before[name]
            new = stored[name][len(before) :]
            assert stored[name][: len(before)] == before
            assert new == [b"%d:%d" % (turn, position) for position in range(1, len(new) + 1)]
            assert len(new) >= acknowledged[name]
        stored_before = stored
    assert acknowledged_in_all > TURNS


def _edit_until_killed(path: Path, turn: int, *, after_acks: int) -> dict[str, int]:
    """The last position acknowledged for each document."""
    receiver, sender = processes.Pipe(duplex=False)
    child = processes.Process(target=edit_for_ever, args=(str(path), turn, sender))
    child.start()
    sender.close()
    positions: dict[str, int] = defaultdict(int)
    count = 0
    try:
        while True:
            if count == after_acks:
                child.kill()
            document, position = receiver.recv()
            assert position > positions[document]
            positions[document] = position
            count += 1
    except EOFError:  # killed, and everything it had said is read
        pass
    finally:
        child.kill()
        child.join()
        child.close()
        receiver.close()
    assert count >= after_acks
    return positions


async def _read(path: Path) -> dict[str, list[bytes]]:
    log = SqlUpdateLog(create_engine(str(path)))
    stored = {name: await contents(log, name) for name in DOCUMENTS}
    await log.close()
    return stored
