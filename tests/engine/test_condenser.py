"""Condensing in a process of its own, whatever becomes of that process."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest
import uvloop

from crdt_store.compaction import CondenseFailed
from server.engine.child_process import _pieces
from server.engine.condenser import Condenser
from server.engine.document import Document
from server.engine.salvage import BUILDS_ON_MISSING, Fault
from tests.engine.typing_authors import said, typed

HOSTILE_CHILD = Path(__file__).with_name("hostile_child.py")
ROOT = Path(__file__).parent.parent.parent
END_SECONDS = 30.0

Running = Callable[..., AbstractAsyncContextManager[Condenser]]


class Pids:
    """Of the processes that a test has started."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> list[int]:
        return [int(line) for line in self.file.read_text().split()] if self.file.exists() else []

    def running(self) -> list[int]:
        return [pid for pid in self.all() if is_running(pid)]

    async def wait_until_one_does_harm(self) -> None:
        with anyio.fail_after(END_SECONDS):
            while not self.file.with_suffix(".deed").exists():
                await anyio.sleep(0.01)

    async def wait_until_gone(self) -> None:
        with anyio.fail_after(END_SECONDS):
            while self.running():
                await anyio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


@pytest.fixture
def pids(tmp_path: Path) -> Pids:
    return Pids(tmp_path / "pids")


@pytest.fixture
def running(pids: Pids) -> Running:
    """A condenser whose engine is hostile; afterwards no process of its is left."""

    @asynccontextmanager
    async def start(
        *, job_seconds: float = 60.0, step_seconds: float = 10.0, idle_seconds: float = 60.0
    ) -> AsyncIterator[Condenser]:
        condenser = Condenser(
            job_seconds=job_seconds,
            step_seconds=step_seconds,
            idle_seconds=idle_seconds,
            command=(sys.executable, str(HOSTILE_CHILD), str(pids.file)),
        )
        try:
            yield condenser
        finally:
            await condenser.aclose()
            assert not pids.running()

    return start


def text_of(updates: Sequence[bytes]) -> str:
    return Document.load(updates).text("text")


def with_poison(word: str) -> list[bytes]:
    """While one types `hello`, another says the word; neither builds on the other."""
    log = typed("hello", client_id=1)
    return [*log[:2], said(word, client_id=9), *log[2:]]


async def test_the_snapshot_is_what_the_document_itself_would_encode() -> None:
    log = typed("hello", client_id=1) + typed("🌍", client_id=2)
    condenser = Condenser()
    try:
        condensed = await condenser.condense(None, log)
    finally:
        await condenser.aclose()
    assert not condensed.faults
    assert condensed.updates == Document.load(log).encoding()


def test_the_servers_loop_serves_as_well(running: Running) -> None:
    async def condense() -> None:
        async with running() as condenser:
            condensed = await condenser.condense(None, with_poison("SEGFAULT"))
        assert condensed.faults == (Fault(2, "the engine crashed: SIGSEGV"),)

    uvloop.run(condense())


async def test_nothing_is_condensed_to_an_empty_update(running: Running) -> None:
    async with running() as condenser:
        assert text_of((await condenser.condense(None, [])).updates) == ""


async def test_one_process_serves_all_jobs_in_order(running: Running, pids: Pids) -> None:
    done: list[int] = []

    async def condense(number: int) -> str:
        condensed = await condenser.condense(None, [said(f"document {number}", client_id=1)])
        done.append(number)
        return text_of(condensed.updates)

    async with running() as condenser:
        texts = await asyncio.gather(*(condense(number) for number in range(5)))
    assert texts == [f"document {number}" for number in range(5)]
    assert done == list(range(5))
    assert len(pids.all()) == 1


async def test_megabytes_go_both_ways(running: Running) -> None:
    texts = [chr(ord("a") + number) * 1_500_000 for number in range(3)]
    async with running() as condenser:
        condensed = await condenser.condense(None, [said(text, client_id=ord(text[0])) for text in texts])
    assert sorted(text_of(condensed.updates)) == sorted("".join(texts))


def test_no_piece_written_at_once_is_large() -> None:
    updates = [b"x" * 1_000_000, b"", *[b"small"] * 100_000]
    pieces = list(_pieces(updates))
    assert max(map(len, pieces)) < 200_000
    assert b"".join(pieces) == b"".join(len(update).to_bytes(4, "big") + update for update in updates)


async def test_garbage_and_what_builds_on_it_are_faults(running: Running) -> None:
    log = typed("hello", client_id=1)
    async with running() as condenser:
        condensed = await condenser.condense(None, [*log[:3], b"garbage", log[4]])
    assert [fault.index for fault in condensed.faults] == [3, 4]
    assert condensed.faults[1].error == BUILDS_ON_MISSING
    assert text_of(condensed.updates) == "hel"


async def test_an_update_on_which_the_engine_crashes_is_left_out(running: Running, pids: Pids) -> None:
    async with running() as condenser:
        condensed = await condenser.condense(None, with_poison("SEGFAULT"))
        assert condensed.faults == (Fault(2, "the engine crashed: SIGSEGV"),)
        assert text_of(condensed.updates) == "hello"
        await condenser.condense(None, typed("next", client_id=1))
    assert len(pids.all()) == 3  # merged, one by one, without it


async def test_an_update_on_which_the_engine_hangs_is_left_out(running: Running) -> None:
    async with running(step_seconds=0.2) as condenser:
        condensed = await condenser.condense(None, with_poison("HANG"))
    assert condensed.faults == (Fault(2, "the engine hung"),)
    assert text_of(condensed.updates) == "hello"


async def test_several_culprits_are_found_one_after_the_other(running: Running) -> None:
    log = [said("SEGFAULT", client_id=5), *with_poison("SEGFAULT"), b"garbage"]
    async with running() as condenser:
        condensed = await condenser.condense(None, log)
    assert [fault.index for fault in condensed.faults] == [0, 3, 7]
    assert text_of(condensed.updates) == "hello"


async def test_too_many_culprits_are_given_up_on(running: Running) -> None:
    async with running() as condenser:
        with pytest.raises(CondenseFailed, match="failed 8 times"):
            await condenser.condense(
                None, [said("SEGFAULT", client_id=client_id) for client_id in range(1, 12)]
            )
        assert text_of((await condenser.condense(None, typed("next", client_id=1))).updates) == "next"


@pytest.mark.parametrize(
    ("word", "why"),
    [("OUT OF MEMORY", "SIGABRT, out of memory"), ("OOM KILLER", "SIGKILL"), ("EXIT", "exit code 3")],
)
async def test_no_update_is_blamed_for_what_is_not_the_engines(running: Running, word: str, why: str) -> None:
    async with running() as condenser:
        with pytest.raises(CondenseFailed, match=why):
            await condenser.condense(None, with_poison(word))


async def test_who_only_takes_long_is_given_up_on_without_blame(running: Running) -> None:
    async with running(job_seconds=0.5) as condenser:
        with pytest.raises(CondenseFailed, match=r"longer than 0\.5 s"):
            await condenser.condense(None, with_poison("SLEEP"))


async def test_memory_has_a_limit() -> None:
    condenser = Condenser(memory_bytes=100 * 1024 * 1024)
    try:
        with pytest.raises(CondenseFailed):
            await condenser.condense(None, [said("x" * 60_000_000, client_id=1)])
    finally:
        await condenser.aclose()


async def test_the_answer_of_a_cancelled_job_is_not_taken_for_the_next_ones(running: Running) -> None:
    async with running() as condenser:
        await condenser.condense(None, [])  # the process is up
        first = asyncio.create_task(condenser.condense(None, [said("first" * 100_000, client_id=1)]))
        second = asyncio.create_task(condenser.condense(None, [said("second", client_id=1)]))
        await asyncio.sleep(0)
        first.cancel()
        assert text_of((await second).updates) == "second"
        assert first.cancelled()


async def test_an_idle_process_ends_and_another_serves_later(running: Running, pids: Pids) -> None:
    async with running(idle_seconds=0.05) as condenser:
        await condenser.condense(None, typed("first", client_id=1))
        await pids.wait_until_gone()
        assert text_of((await condenser.condense(None, typed("next", client_id=1))).updates) == "next"
    assert len(pids.all()) == 2


async def test_closing_fails_the_job_at_hand_and_later_ones(running: Running, pids: Pids) -> None:
    async with running() as condenser:
        job = asyncio.create_task(condenser.condense(None, with_poison("SLEEP")))
        await pids.wait_until_one_does_harm()
        await condenser.aclose()
        with pytest.raises(CondenseFailed):
            await job
        with pytest.raises(CondenseFailed, match="closed"):
            await condenser.condense(None, [])


async def test_what_the_process_says_is_logged(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with running() as condenser:
            with pytest.raises(CondenseFailed):
                await condenser.condense(None, with_poison("OUT OF MEMORY"))
    assert "memory allocation of 99 bytes failed" in caplog.text


@pytest.mark.parametrize("word", ["nothing", "HANG"])
async def test_the_process_ends_with_its_parent(pids: Pids, word: str) -> None:
    script = (
        "import asyncio, os, signal, sys\n"
        "from server.engine.condenser import Condenser\n"
        "from tests.engine.typing_authors import said\n"
        "async def main():\n"
        "    condenser = Condenser(step_seconds=0.2, command=(sys.executable, *sys.argv[2:]))\n"
        "    job = asyncio.create_task(condenser.condense(None, [said(sys.argv[1], client_id=1)]))\n"
        "    while not (job.done() or os.path.exists(sys.argv[-1] + '.deed')):\n"
        "        await asyncio.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, word, str(HOSTILE_CHILD), str(pids.file), cwd=ROOT
    )
    with anyio.fail_after(END_SECONDS):
        await parent.wait()
    assert pids.all()
    await pids.wait_until_gone()


async def test_a_process_that_cannot_be_started_is_a_failure_of_the_job() -> None:
    condenser = Condenser(command=("/nonexistent",))
    with pytest.raises(CondenseFailed, match="could be started"):
        await condenser.condense(None, [])
    await condenser.aclose()


async def test_a_job_that_the_parent_stops_waiting_for_is_not_the_process_that_is_reused(
    running: Running, pids: Pids
) -> None:
    async with running() as condenser:
        job = asyncio.create_task(condenser.condense(None, with_poison("SLEEP")))
        await pids.wait_until_one_does_harm()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert not pids.running()
        assert text_of((await condenser.condense(None, typed("next", client_id=1))).updates) == "next"
