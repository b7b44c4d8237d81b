"""The load generator against a real server, as small as can be."""

from collections.abc import Iterator

import pytest

from bench.load.arrival_workloads import Join, run_join
from bench.load.documents import FIRST_AUTHOR, crowded_history
from bench.load.live_workloads import Live, run_live
from bench.load.server_kinds import costudio
from bench.load.server_process import ServerProcess
from bench.load.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with ServerProcess(costudio()) as server:
        yield Stage(server, warm_up_updates=10)


def test_every_character_reaches_everybody_else_and_all_texts_agree(stage: Stage) -> None:
    figures = run_live(stage, Live(writers=3, receivers=2, rate=50, seconds=0.2, compares_texts=True))

    assert figures["ok"] == 1
    assert figures["covered"] == figures["wanted"] == 3 * 10 * 4
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert figures["cpu_us"] > 0
    assert figures["memory_mb"] > 10


def test_cursors_are_covered_too(stage: Stage) -> None:
    figures = run_live(stage, Live(writers=4, rooms=2, rate=20, seconds=0.2, cursors=True))

    assert figures["ok"] == 1
    assert figures["covered"] == figures["wanted"] == 2 * 4 * 4 * 3


def test_a_joiner_gets_the_document_of_several_authors(stage: Stage) -> None:
    figures = run_join(stage, Join(authors=2, times=1))

    assert figures["ok"] == 1
    assert figures["join_ms"] > 0


def test_the_crowds_document_holds_every_author() -> None:
    one, two = crowded_history(1), crowded_history(2)

    assert len(two.text) == 2 * len(one.text)
    assert two.edits == 2 * one.edits
    assert FIRST_AUTHOR > 2**16  # beside the authors of the base documents
