"""What survives of a log in which something is at fault."""

from collections import Counter
from collections.abc import Callable

import pytest

from server.engine.document import Document
from server.engine.salvage import BUILDS_ON_MISSING, Fault, salvage
from tests.engine.typing_authors import said, typed
from tests.fuzz.update_fuzzer import CRASHERS, Case
from tests.protocol.update_bytes import string, update

GARBAGE = b"\xff\xff not an update"


class Panic(BaseException):
    """As pyo3's."""


Refuse = Callable[[Callable[[bytes], bool], BaseException], Counter[str]]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Make the engine fail on some bytes; the result counts what it is given."""
    integrate = Document._integrate
    counts = Counter[str]()

    def start(is_poison: Callable[[bytes], bool], failure: BaseException) -> Counter[str]:
        def integrate_or_fail(document: Document, some: bytes) -> None:
            counts["calls"] += 1
            assert "failed" not in vars(document), "an engine that failed is used again"
            if is_poison(some):
                vars(document)["failed"] = True
                raise failure
            integrate(document, some)

        monkeypatch.setattr(Document, "_integrate", integrate_or_fail)
        return counts

    return start


def snapshot_of(updates: list[bytes]) -> bytes:
    return Document.load(updates).encode_since(b"\0")


def test_a_whole_log_loads_without_faults() -> None:
    log = typed("hello", client_id=1) + typed("world", client_id=2)
    document, faults = salvage(log)
    assert not faults
    assert document.encode_since(b"\0") == snapshot_of(log)


def test_nothing_makes_an_empty_document() -> None:
    document, faults = salvage([])
    assert (document.text("text"), faults) == ("", [])


@pytest.mark.parametrize("garbage", [GARBAGE, b"", b"\1\1\5", b"\0\0\0"], ids=lambda garbage: garbage.hex())
def test_garbage_in_the_middle_is_left_out(garbage: bytes) -> None:
    log = typed("hello", client_id=1)
    document, faults = salvage([*log[:2], garbage, *log[2:]])
    assert document.text("text") == "hello"
    assert [fault.index for fault in faults] == ([2] if garbage != b"\0\0\0" else [])


def test_an_update_on_which_the_engine_panics_is_left_out(refuse: Refuse) -> None:
    refuse(lambda some: b"POISON" in some, Panic("at store.rs"))
    log = typed("hello", client_id=1)
    document, faults = salvage([*log[:3], said("POISON", client_id=9), *log[3:]])
    assert faults == [Fault(3, "Panic: at store.rs")]
    assert document.encode_since(b"\0") == snapshot_of(log)


def test_several_poisons_of_all_kinds_are_left_out(refuse: Refuse) -> None:
    refuse(lambda some: b"POISON" in some, ValueError("no"))
    log = typed("hello", client_id=1)
    poison = [said("POISON", client_id=8), GARBAGE, said("POISON", client_id=9)]
    document, faults = salvage([poison[0], *log[:2], poison[1], *log[2:], poison[2]])
    assert [fault.index for fault in faults] == [0, 3, 7]
    assert document.text("text") == "hello"


def test_what_fails_only_when_merged_is_not_at_fault(refuse: Refuse) -> None:
    refuse(lambda some: b"LEFT" in some and b"RIGHT" in some, Panic())
    document, faults = salvage([said("LEFT", client_id=1), said("RIGHT", client_id=2)])
    assert not faults
    assert sorted(document.text("text")) == sorted("LEFTRIGHT")


def test_an_update_in_an_impossible_place_is_left_out() -> None:
    case = Case.load(CRASHERS / "acd7a89f3d5a074c.json")
    other = said("hello", client_id=77)
    document, faults = salvage([case.state, case.update, other])
    assert [(fault.index, "different places" in fault.error) for fault in faults] == [(1, True)]
    assert document.encode_since(b"\0") == snapshot_of([case.state, other])


def test_what_builds_on_a_poison_is_named_and_the_rest_loads() -> None:
    broken, whole = typed("hello", client_id=1), typed("world", client_id=2)
    log = [edit for pair in zip(broken, whole, strict=True) for edit in pair]
    log[4] = GARBAGE  # the first l of hello
    document, faults = salvage(log)
    assert [fault.index for fault in faults] == [4, 6, 8]
    assert [fault.error for fault in faults[1:]] == [BUILDS_ON_MISSING] * 2
    assert document.encode_since(b"\0") == snapshot_of(broken[:2] + whole)


def test_a_log_that_lacks_a_row_is_not_loaded_as_if_it_were_whole() -> None:
    log = typed("hello", client_id=1)
    document, faults = salvage(log[:2] + log[3:])
    assert faults == [Fault(2, BUILDS_ON_MISSING), Fault(3, BUILDS_ON_MISSING)]
    assert document.contents.state == {1: 2}


def test_what_a_client_sent_again_later_fills_the_gap() -> None:
    log = typed("hello", client_id=1)
    document, faults = salvage([*log[:2], GARBAGE, *log[3:], log[2]])
    assert [fault.index for fault in faults] == [2]
    assert document.text("text") == "hello"


def test_of_an_update_that_is_partly_ready_that_part_is_taken() -> None:
    lost = (1, 0, [string("lost")])
    mixed = update((1, 4, [string("more", origin=(1, 3))]), (2, 0, [string("mine")]))
    document, faults = salvage([mixed])
    assert faults == []  # put aside, it would take that part with it
    assert document.text("text") == "mine"
    document, faults = salvage([mixed, update(lost)])
    assert not faults
    assert document.contents.state == {1: 8, 2: 4}


def test_deletions_of_what_is_missing_are_at_fault() -> None:
    document, faults = salvage([said("hello", client_id=1), update(deletes=[(5, 0, 3)])])
    assert faults == [Fault(1, BUILDS_ON_MISSING)]
    document, faults = salvage([said("hello", client_id=1), update(deletes=[(1, 0, 1), (5, 0, 3)])])
    assert not faults
    assert document.text("text") == "ello"


def test_what_the_snapshot_holds_already_may_follow_it() -> None:
    log = typed("hello", client_id=1)
    document, faults = salvage([snapshot_of(log[:4]), *log[2:]])
    assert not faults
    assert document.text("text") == "hello"


def test_a_pair_that_is_cut_in_two_shows_as_it_does_without_the_poison(refuse: Refuse) -> None:
    log = [
        update((1, 0, [string("a🌍b")])),
        update((2, 0, [string("x", origin=(1, 1), right=(1, 2))])),
        said("after", client_id=3),
    ]
    counts = refuse(lambda some: False, Panic())
    document, faults = salvage([log[0], GARBAGE, *log[1:]])
    assert counts["calls"] == len(log), "the cut was known before the pair was loaded"
    assert [fault.index for fault in faults] == [1]
    assert "\ufffdx\ufffd" in document.text("text")
    assert document.encode_since(b"\0") == snapshot_of(log)


def test_one_poison_among_thousands_costs_a_few_times_a_normal_load(refuse: Refuse) -> None:
    log = typed("abcdefghij" * 300, client_id=1)
    counts = refuse(lambda some: b"POISON" in some, Panic())
    document, faults = salvage([*log[:2500], said("POISON", client_id=9), *log[2500:]])
    assert [fault.index for fault in faults] == [2500]
    assert document.text("text") == "abcdefghij" * 300
    assert counts["calls"] < 2 * len(log)


def test_a_lack_of_memory_is_nobodys_fault(refuse: Refuse) -> None:
    refuse(lambda some: b"LARGE" in some, MemoryError())
    with pytest.raises(MemoryError):
        salvage([said("hello", client_id=1), said("LARGE", client_id=2)])
