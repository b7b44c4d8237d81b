"""Twenty seconds of the update fuzzer, and every crasher of old."""

from pathlib import Path

import pytest

from server.protocol.update_shape import check_update
from tests.fuzz.documents import Editor
from tests.fuzz.mutations import mutate
from tests.fuzz.update_fuzzer import CRASHERS, Case, Engine, Run

YJS_UPDATES = Path(__file__).parent / "yjs_updates.txt"  # hex, made by Yjs 13.6: one per line


def test_no_survivor_harms_the_engine() -> None:
    run = Run(seed=1)
    run.go(seconds=20)
    print(run.summary())
    assert run.survivors > 0
    assert not run.findings


@pytest.mark.parametrize("path", sorted(CRASHERS.glob("*.json")), ids=lambda path: path.stem)
def test_old_crashers_are_refused_or_harmless(path: Path) -> None:
    engine = Engine()
    try:
        assert not engine.verdict(Case.load(path))
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
