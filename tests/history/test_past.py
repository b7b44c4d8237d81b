"""The past of recorded histories: every moment, every author and every revert as Yjs and plain replays have them."""

import random

import pytest

from server.engine.document import Document
from server.history.changes import Changes
from server.history.past import Past
from server.history.reading import Side, blame, compare, text_at
from server.history.turning_back import restoring, turn_back, turning_id, without
from tests.history.traces import Trace, trace

ROOT = "content"
MOMENTS = 100
TURNING_ID = turning_id(77)


@pytest.fixture(params=["friendsforever", "sveltecomponent"], scope="module")
def recorded(request: pytest.FixtureRequest) -> Trace:
    return trace(request.param)


@pytest.fixture(scope="module")
def past(recorded: Trace) -> Past:
    return Past(recorded.changes)


def replayed(changes: Changes, moment: int) -> Document:
    return Document.load([change.data for change in changes.all[:moment]])


def test_random_moments_read_as_a_plain_replay(recorded: Trace, past: Past) -> None:
    choice = random.Random(1)
    moments = sorted(choice.sample(range(len(recorded.changes.all)), MOMENTS))
    document, done = Document(), 0
    for moment in moments:
        document.replay([change.data for change in recorded.changes.all[done:moment]])
        done = moment
        assert text_at(past, ROOT, moment) == document.text(ROOT)


def test_every_character_is_its_authors(recorded: Trace, past: Past) -> None:
    pieces = blame(past, ROOT, len(recorded.changes.all))
    assert [
        (piece.author_id, character) for piece in pieces for character in piece.text
    ] == recorded.authorship
    assert all(recorded.changes.all[piece.number].author_id == piece.author_id for piece in pieces)


@pytest.mark.parametrize("author_id", [1, 2])
def test_without_an_author_there_is_what_the_others_have_left(
    recorded: Trace, past: Past, author_id: int
) -> None:
    update = turn_back(past, without(past, author_id, 0), TURNING_ID, is_exact=False)
    document = replayed(recorded.changes, len(recorded.changes.all))
    if update is not None:
        document.replay([update])
    assert document.text(ROOT) == recorded.without[author_id]


def test_a_restored_moment_is_what_was_there_and_what_stayed_keeps_its_ids(
    recorded: Trace, past: Past
) -> None:
    moment = len(recorded.changes.all) // 2
    update = turn_back(past, restoring(moment), TURNING_ID, is_exact=True)
    assert update is not None
    document = replayed(recorded.changes, len(recorded.changes.all))
    document.replay([update])
    assert document.text(ROOT) == text_at(past, ROOT, moment)
    written_anew = document.contents.state[TURNING_ID]
    kept = sum(len(part.text) for part in compare(past, ROOT, moment, len(recorded.changes.all))
               if part.side is Side.BOTH)  # fmt: skip
    assert kept + written_anew == len(document.text(ROOT).encode("utf-16-le")) // 2


def test_a_comparison_holds_both_texts(recorded: Trace, past: Past) -> None:
    last = len(recorded.changes.all)
    parts = compare(past, ROOT, last // 3, last)
    assert "".join(part.text for part in parts if part.side is not Side.REMOVED) == recorded.text
    before = "".join(part.text for part in parts if part.side is not Side.ADDED)
    assert before == text_at(past, ROOT, last // 3)
    assert {part.author_id for part in parts if part.side is Side.BOTH} == {None}
    assert all(
        part.number is not None and part.number >= last // 3 for part in parts if part.side is not Side.BOTH
    )
