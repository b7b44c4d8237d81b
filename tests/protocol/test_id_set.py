from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.protocol.id_set import IdSet, read_id_set
from server.protocol.varint import MalformedBytes

Range = tuple[int, int, int]

clients = st.sampled_from([1, 300, 2**53 - 1])
ranges = st.lists(st.tuples(clients, st.integers(0, 40), st.integers(0, 12)), max_size=25)


def ids(parts: Iterable[Range]) -> set[tuple[int, int]]:
    """The model: every id by itself."""
    return {(client, clock + offset) for client, clock, length in parts for offset in range(length)}


def added(parts: Iterable[Range]) -> IdSet:
    result = IdSet()
    for part in parts:
        result.add(*part)
    return result


def assert_canonical(tested: IdSet) -> None:
    """Ranges are not empty, ascend, and never touch."""
    last: dict[int, int] = {}
    for client, clock, length in tested:
        assert length > 0
        assert clock > last.get(client, -1)
        last[client] = clock + length


@given(ranges)
def test_holds_what_was_added_in_any_order(parts: list[Range]) -> None:
    one_by_one = added(parts)
    assert_canonical(one_by_one)
    assert ids(one_by_one) == ids(parts)
    assert one_by_one == IdSet(parts)
    assert bool(one_by_one) == bool(ids(parts))


@given(ranges, clients, st.integers(0, 50), st.integers(0, 12))
def test_contains_only_whole_ranges(parts: list[Range], client: int, clock: int, length: int) -> None:
    assert IdSet(parts).contains(client, clock, length) == (ids([(client, clock, length)]) <= ids(parts))


@given(ranges, ranges)
def test_union_and_minus_are_those_of_sets(left: list[Range], right: list[Range]) -> None:
    united, rest = IdSet(left).union(IdSet(right)), IdSet(left).minus(IdSet(right))
    assert_canonical(united)
    assert_canonical(rest)
    assert ids(united) == ids(left) | ids(right)
    assert ids(rest) == ids(left) - ids(right)


@given(ranges, st.dictionaries(clients, st.integers(0, 50)))
def test_split_at_a_state(parts: list[Range], state: dict[int, int]) -> None:
    below, beyond = IdSet(parts).split_at(state)
    assert ids(below) == {(client, clock) for client, clock in ids(parts) if clock < state.get(client, 0)}
    assert ids(beyond) == ids(parts) - ids(below)


@given(ranges, st.binary(max_size=3), st.binary(max_size=3))
def test_reads_what_it_writes(parts: list[Range], before: bytes, after: bytes) -> None:
    written = IdSet(parts).write()
    assert read_id_set(before + written + after, len(before)) == (IdSet(parts), len(before + written))


def test_writes_the_highest_client_first() -> None:
    assert IdSet([(1, 5, 2), (7, 0, 1), (1, 0, 1)]).write() == bytes.fromhex(
        "02 07 01 00 01 01 02 00 01 05 02"
    )


def test_reads_ranges_that_overlap_and_are_out_of_order() -> None:
    assert list(read_id_set(bytes.fromhex("01 01 03 05 02 00 01 06 04"), 0)[0]) == [(1, 0, 1), (1, 5, 5)]


@pytest.mark.parametrize("data", ["", "01", "01 01 02 00 01", "ff ff ff ff 0f 00"])
def test_what_ends_too_early_is_malformed(data: str) -> None:
    with pytest.raises(MalformedBytes):
        read_id_set(bytes.fromhex(data), 0)
