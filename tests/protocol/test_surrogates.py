from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from server.protocol.structs import read_structs
from server.protocol.surrogates import SurrogateGuard, cuts, low_halves, with_pairs_replaced
from tests.protocol.update_bytes import gc, item, skip, string, update

HELLO = update((5, 10, [string("a😀b🐀")]))  # low halves at clocks 12 and 15
REPLACEMENTS = "\ufffd\ufffd"


def texts(data: bytes) -> list[str]:
    return [struct.text for struct in read_structs(data)[0]]


def test_low_halves_are_the_second_units_of_astral_characters() -> None:
    data = update(
        (7, 0, [gc(3), string("é😀"), item(8, b"\x01\x77\x04" + "😀".encode())]), (5, 1, [string("𝕏𝕐")])
    )
    assert list(low_halves(data)) == [(7, 5), (5, 2), (5, 4)]


def test_cuts_are_where_a_document_splits_strings() -> None:
    data = update(
        (7, 4, [string("ab", origin=(1, 10), right=(2, 20)), skip(3), gc(2)]),
        (5, 0, [item(7, b"\0", parent=(3, 30))]),
        deletes=[(9, 1, 3)],
    )
    assert set(cuts(data)) == {
        (7, 4),
        (7, 6),
        (1, 11),
        (2, 20),
        (7, 9),
        (7, 11),
        (5, 0),
        (5, 1),
        (9, 1),
        (9, 4),
    }


@given(st.text(alphabet="aé漢😀\ufffd", min_size=1), st.data())
def test_replaced_pairs_leave_all_clocks_where_they_are(text: str, data: st.DataObject) -> None:
    before = update((5, 10, [string(text, origin=(1, 1)), string("😀")]), deletes=[(1, 0, 1)])
    halves = list(low_halves(before))
    chosen = data.draw(st.sets(st.sampled_from(halves)))
    after = with_pairs_replaced(before, chosen)
    assert set(low_halves(after)) == set(halves) - chosen
    assert list(cuts(after)) == list(cuts(before))
    units, expected = "".join(texts(after)).encode("utf-16-le"), "".join(texts(before)).encode("utf-16-le")
    for at in range(0, len(units), 2):
        is_replaced = not {(5, 10 + at // 2), (5, 11 + at // 2)}.isdisjoint(chosen)
        assert units[at : at + 2] == (
            b"\xfd\xff" if is_replaced and expected[at + 1] & 0xD8 == 0xD8 else expected[at : at + 2]
        )
    if not chosen:
        assert after is before


def test_a_guard_sleeps_until_there_is_a_pair() -> None:
    guard = SurrogateGuard()
    plain = update((5, 0, [string("aé漢", origin=(1, 1))]))
    assert guard.admit(plain) == set()
    assert guard.rewrite(plain) is plain
    assert not guard.active
    assert guard.admit(HELLO) == set()
    assert guard.active
    assert guard.rewrite(HELLO) is HELLO


@pytest.mark.parametrize(
    "cutting",
    [
        update((7, 0, [string("x", origin=(5, 11))])),
        update((7, 0, [string("x", right=(5, 12))])),
        update((7, 0, [item(6, b"\4bold\4true", origin=(5, 11), right=(5, 12))])),
        update(deletes=[(5, 12, 1)]),
        update(deletes=[(5, 10, 2)]),
    ],
    ids=["origin", "right origin", "format", "deletion from", "deletion up to"],
)
def test_a_pair_that_is_cut_later_is_reported_once(cutting: bytes) -> None:
    guard = SurrogateGuard()
    guard.admit(HELLO)
    assert guard.admit(cutting) == {(5, 12)}
    assert guard.admit(cutting) == set()
    assert texts(guard.rewrite(HELLO)) == [f"a{REPLACEMENTS}b🐀"]
    assert guard.rewrite(cutting) == cutting


@pytest.mark.parametrize("harmless", [(5, 10), (5, 12), (5, 13)])
def test_a_cut_beside_a_pair_is_none(harmless: tuple[int, int]) -> None:
    guard = SurrogateGuard()
    guard.admit(HELLO)
    assert guard.admit(update((7, 0, [string("x", origin=harmless)]))) == set()
    assert guard.rewrite(HELLO) is HELLO


def test_a_pair_that_is_cut_as_it_comes_needs_no_other_engine() -> None:
    guard = SurrogateGuard()
    both = update((7, 0, [string("x", origin=(5, 11))]), (5, 10, [string("a😀b🐀")]))
    assert guard.admit(both) == set()
    assert texts(guard.rewrite(both)) == ["x", f"a{REPLACEMENTS}b🐀"]


def test_halves_that_came_one_by_one_stay_two_when_their_author_sends_them_joined() -> None:
    guard = SurrogateGuard()
    guard.admit(update((5, 0, [string("a\ufffd")])))
    joined = update((5, 0, [string("a😀b")]))
    assert guard.admit(joined) == set()
    assert texts(guard.rewrite(joined)) == [f"a{REPLACEMENTS}b"]


def test_an_engine_fed_through_the_guard_shows_what_yjs_shows() -> None:
    """The case of y-crdt#399: of the emoji in "hi 😀!" one unit is deleted and another typed."""
    before = update((5, 0, [string("hi 😀!")]))
    exchange = update((5, 6, [string("\ufffd", origin=(5, 3), right=(5, 4))]), deletes=[(5, 4, 1)])
    guard, engine = SurrogateGuard(), Doc[Any]()
    assert not guard.admit(before)
    assert guard.admit(exchange)
    for data in (before, exchange):
        engine.apply_update(guard.rewrite(data))
    assert str(engine.get("text", type=Text)) == f"hi {REPLACEMENTS}!"
