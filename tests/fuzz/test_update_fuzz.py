"""Twenty seconds of the update fuzzer, and every crasher of old."""

from pathlib import Path

import pytest

from server.protocol.update_shape import MalformedUpdate, check_update
from tests.fuzz.containers import is_misplaced
from tests.fuzz.documents import Editor
from tests.fuzz.mutations import mutate
from tests.fuzz.update_fuzzer import CRASHERS, Case, Engine, Run, seed_cases

YJS_UPDATES = Path(__file__).parent / "yjs_updates.txt"  # hex, made by Yjs 13.6: one per line


def test_no_survivor_harms_the_engine() -> None:
    run = Run(seed=1)
    run.go(seconds=20)
    print(run.summary())
    assert run.survivors > 0
    assert not run.findings


@pytest.mark.parametrize("path", sorted(CRASHERS.glob("*.json")), ids=lambda path: path.stem)
def test_old_crashers_are_refused_or_harmless(path: Path) -> None:
    """Harmless is also what needs the document to be judged: it must stay recognisable as misplaced."""
    case = Case.load(path)
    try:
        check_update(case.update)
    except MalformedUpdate:
        return
    engine = Engine()
    try:
        assert is_misplaced(case.state, case.update) or not engine.verdict(case)
    finally:
        engine.close()


def test_updates_that_yjs_made_are_accepted() -> None:
    lines = YJS_UPDATES.read_text().split()
    assert len(lines) > 50
    for line in lines:
        check_update(bytes.fromhex(line))


def test_a_seed_gives_the_same_mutants_again() -> None:
    """Of the same updates: yrs writes the keys of objects in an order of its own, so crashers keep their bytes."""
    updates = [bytes.fromhex(line) for line in YJS_UPDATES.read_text().split()]

    def mutants() -> list[bytes]:
        rng = Editor("again")
        return [mutate(rng, rng.choice(updates), rng.choice(updates)) for _ in range(200)]

    assert mutants() == mutants()


def test_valid_updates_are_never_misplaced() -> None:
    for seed in range(10):
        for case in seed_cases(Editor(seed)):
            assert not is_misplaced(case.state, case.update)
