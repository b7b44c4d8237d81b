from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from server.protocol.id_set import IdSet
from server.protocol.merge_updates import diff_update, merge_updates, state_vector_of
from server.protocol.structs import read_structs
from tests.protocol.update_bytes import gc, item, skip, string, update


def typed(count: int, *, client_id: int = 2**32 - 7) -> list[bytes]:
    """One update a character, typed here and there, with a deletion now and then."""
    sent: list[bytes] = []
    doc: Doc[Any] = Doc(client_id=client_id)
    doc.observe(lambda event: sent.append(event.update))
    text, random = doc.get("text", type=Text), Random(count)
    while len(sent) < count:
        if len(text) > 5 and random.random() < 0.1:
            at = random.randrange(len(text) - 2)
            del text[at : at + 2]
        else:
            text.insert(random.randrange(len(text) + 1), random.choice("abc"))
    return sent


def text_of(*updates: bytes) -> str:
    doc: Doc[Any] = Doc()
    for data in updates:
        doc.apply_update(data)
    return str(doc.get("text", type=Text))


@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_merged_in_any_order_and_repeated_says_the_same(random: Random, count: int) -> None:
    sent = typed(count)
    doubled = sent + random.choices(sent, k=5) + [merge_updates(sent[: count // 2])]
    random.shuffle(doubled)
    merged = merge_updates(doubled)
    assert text_of(merged) == text_of(*sent)
    assert merged == merge_updates([merge_updates(sent)] * 2)


@given(st.integers(1, 60), st.integers(0, 70))
def test_a_diff_is_what_was_missing(count: int, known: int) -> None:
    sent = typed(count, client_id=5)
    merged = merge_updates(sent)
    diff = diff_update(merged, {5: known})
    total = state_vector_of(merged)[5]
    assert sum(struct.length for struct in read_structs(diff)[0]) == max(total - known, 0)
    assert read_structs(diff)[1] == read_structs(merged)[1]
    assert text_of(merged, diff) == text_of(*sent)
    assert merge_updates([merged, diff]) == merged


def test_of_two_for_the_same_clocks_the_first_stays() -> None:
    whole, parts = update((5, 0, [string("abcd")])), update((5, 2, [gc(2)]))
    assert merge_updates([whole, parts]) == update((5, 0, [string("abcd")]))
    assert merge_updates([parts, update((5, 0, [string("ab")]))]) == update((5, 0, [string("ab"), gc(2)]))
    assert merge_updates([update((5, 0, [gc(1)])), whole]) == update(
        (5, 0, [gc(1), string("bcd", origin=(5, 0))])
    )


def test_clients_descend_and_holes_are_skips() -> None:
    merged = merge_updates(
        [update((5, 4, [gc(1)])), update((9, 1, [gc(1)])), update((5, 0, [gc(2)]), deletes=[(1, 0, 1)])]
    )
    assert merged == update((9, 1, [gc(1)]), (5, 0, [gc(2), skip(2), gc(1)]), deletes=[(1, 0, 1)])


def test_deletions_are_united() -> None:
    merged = merge_updates([update(deletes=[(5, 3, 2)]), update(deletes=[(5, 0, 3), (7, 1, 1)])])
    assert read_structs(merged) == ([], IdSet([(5, 0, 5), (7, 1, 1)]))


def test_what_an_engine_would_lose_stays() -> None:
    subdocument = item(9, b"\x04guid\x76\x02\x04meta\x76\x01\x05owner\x77\x02me\x08autoLoad\x78")
    data = update((5, 0, [subdocument]))
    assert merge_updates([data, update((6, 0, [string("x")]))]) == update(
        (6, 0, [string("x")]), (5, 0, [subdocument])
    )


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (update(), {}),
        (update((5, 0, [gc(2), skip(1), gc(1)]), (7, 3, [gc(1)])), {5: 2}),
        (update((5, 0, [string("ab"), gc(1)])), {5: 3}),
    ],
)
def test_a_state_counts_what_is_whole_from_the_start(data: bytes, state: dict[int, int]) -> None:
    assert state_vector_of(data) == state


def test_nothing_and_one() -> None:
    assert merge_updates([]) == update()
    data = update((5, 0, [string("x")]), deletes=[(1, 1, 1)])
    assert merge_updates([data]) is data
