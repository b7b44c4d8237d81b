"""Work on a long past, in a process of its own."""

from pathlib import Path

import pytest

from server.history.answers import blame_at, text_of_moment
from server.history.changes import BadMoment, Changes
from server.history.workshop import TooMuchWork, Workshop
from tests.history.traces import trace


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is worked with here is of the tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def refuse(changes: Changes) -> None:
    raise BadMoment(f"{len(changes.all)} changes")


def never(changes: Changes) -> None:
    while True:
        pass


def swallow(changes: Changes) -> bytes:
    return bytes(2**33)


async def test_a_process_answers_as_a_thread_does() -> None:
    recorded = trace("sveltecomponent")
    last = len(recorded.changes.all)
    workshop = Workshop(seconds=60, memory_bytes=2**32)
    assert await workshop.do(text_of_moment, recorded.changes, last, "content") == recorded.text
    few = recorded.changes._replace(all=recorded.changes.all[:100])
    assert await workshop.do(blame_at, few, 100, "content") == blame_at(few, 100, "content")


async def test_what_a_process_raises_is_raised_here() -> None:
    with pytest.raises(BadMoment, match="18335 changes"):
        await Workshop(seconds=60, memory_bytes=None).do(refuse, trace("sveltecomponent").changes)


@pytest.mark.parametrize("work", [never, swallow])
async def test_too_much_time_or_memory_is_refused(work: object) -> None:
    workshop = Workshop(seconds=3, memory_bytes=2**32)
    with pytest.raises(TooMuchWork):
        await workshop.do(work, trace("sveltecomponent").changes)  # type: ignore[arg-type]
