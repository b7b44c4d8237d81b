"""The quick merge of updates that follow one another says what the thorough one says."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from server.protocol.merge_updates import merge_consecutive, merge_updates
from server.protocol.structs import read_structs
from server.protocol.update_shape import check_state_vector, check_update
from server.protocol.varint import var_uint
from tests.protocol.update_bytes import gc, item, skip, string, update

CLIENT_IDS = (5, 300, 2**32 - 7, 2**52 + 1)


class Author:
    """A replica; `sent` are its own updates, one for each edit."""

    def __init__(self, client_id: int) -> None:
        self.doc: Doc[Any] = Doc(client_id=client_id)
        self.text = self.doc.get("text", type=Text)
        self.map = self.doc.get("map", type=Map)

    def edit(self, random: Random) -> bytes:
        """One edit of any kind."""
        made: list[bytes] = []
        subscription = self.doc.observe(lambda event: made.append(event.update))
        while not made:
            with self.doc.transaction():
                for _ in range(random.choice([1, 1, 1, 3])):
                    self._change(random)
        self.doc.unobserve(subscription)
        return made[-1]

    def _change(self, random: Random) -> None:
        size, kind = len(str(self.text)), random.random()
        if kind < 0.6 or size < 5:
            self.text.insert(random.randrange(size + 1), random.choice(["a", "b", "typed"]))
        elif kind < 0.8:
            start = random.randrange(size - 2)
            del self.text[start : start + random.randrange(1, 3)]
        elif kind < 0.9:
            start = random.randrange(size - 2)
            self.text.format(start, start + 2, {"bold": random.choice([True, None])})
        else:
            self.map[random.choice("kl")] = random.choice([7, "\U0001f600", None])


def history(random: Random, authors: int, edits: int) -> list[bytes]:
    """Edits of people who hear of each other at once, now and then; in the order in which a room has them."""
    people = [Author(client_id) for client_id in CLIENT_IDS[:authors]]
    unheard: dict[Author, list[bytes]] = {author: [] for author in people}
    sent: list[bytes] = []
    for _ in range(edits):
        author = random.choice(people)
        if random.random() < 0.5:
            for heard in unheard[author]:
                author.doc.apply_update(heard)
            unheard[author] = []
        edit = author.edit(random)
        sent.append(edit)
        for other in people:
            if other is not author:
                unheard[other].append(edit)
    return sent


def batches(random: Random, sent: Sequence[bytes]) -> list[list[bytes]]:
    cut: list[list[bytes]] = []
    position = 0
    while position < len(sent):
        size = random.randrange(1, 12)
        cut.append(list(sent[position : position + size]))
        position += size
    return cut


def merged(*updates: bytes) -> bytes:
    """By the quick way; checked to be an update, and to say what the thorough merge says."""
    quick = merge_consecutive([(data, check_update(data)) for data in updates])
    check_update(quick)
    thorough = merge_updates(updates)
    assert content(quick) == content(thorough)
    return quick


def content(data: bytes) -> tuple[list[tuple[int, int, int, bytes]], object]:
    """Every struct, byte by byte, and every deletion."""
    structs, deletes = read_structs(data)
    return [(s.client, s.clock, s.length, s.source[s.start : s.end]) for s in structs], deletes


def shown(updates: Sequence[bytes]) -> tuple[object, ...]:
    doc: Doc[Any] = Doc()
    for data in updates:
        doc.apply_update(data)
    text = doc.get("text", type=Text)
    state, (_, deletes) = check_state_vector(doc.get_state()), read_structs(doc.get_update())
    return str(text), text.diff(), doc.get("map", type=Map).to_py(), state, deletes


@pytest.mark.parametrize("authors", [1, 2, 4])
@pytest.mark.parametrize("seed", range(20))
def test_batches_of_a_history_are_merged_as_the_thorough_way_does(seed: int, authors: int) -> None:
    random = Random(seed * 10 + authors)
    sent = history(random, authors, 60)
    joined = [merged(*batch) for batch in batches(random, sent)]
    assert len(joined) < len(sent)
    assert shown(joined) == shown(sent)
    assert content(merged(*sent)) == content(merge_updates(sent))


def test_one_struct_each_of_several_clients_is_laid_side_by_side() -> None:
    first, second = update((5, 3, [string("a", origin=(5, 2))])), update((9, 0, [string("b")]))
    expected = update((9, 0, [string("b")]), (5, 3, [string("a", origin=(5, 2))]))
    assert merged(first, second) == expected


def test_what_one_client_says_in_several_updates_becomes_one_section() -> None:
    updates = [update((5, clock, [string("x", origin=(5, clock - 1))])) for clock in range(1, 200)]
    structs = [string("x", origin=(5, clock - 1)) for clock in range(1, 200)]
    assert merged(*updates) == update((5, 1, structs))


def test_updates_of_several_clients_are_taken_apart() -> None:
    first = update((9, 0, [string("b")]), (5, 0, [string("a"), gc(2)]), deletes=[(5, 0, 1)])
    second = update((7, 1, [gc(1)]), (5, 3, [string("c", origin=(5, 2))]))
    assert merged(first, second) == update(
        (9, 0, [string("b")]),
        (7, 1, [gc(1)]),
        (5, 0, [string("a"), gc(2), string("c", origin=(5, 2))]),
        deletes=[(5, 0, 1)],
    )


def test_deletions_are_united() -> None:
    only_deletions = update(deletes=[(5, 3, 2), (7, 1, 1)])
    assert merged(only_deletions, update((9, 0, [string("b")]), deletes=[(5, 0, 3)])) == update(
        (9, 0, [string("b")]), deletes=[(5, 0, 5), (7, 1, 1)]
    )
    assert merged(only_deletions, update(deletes=[(5, 4, 4)])) == update(deletes=[(5, 3, 5), (7, 1, 1)])


@pytest.mark.parametrize(
    "odd",
    [
        b"\x81\x00" + b"\x01\x05\x00" + string("a") + b"\x00",
        b"\x01" + b"\x81\x00\x85\x00\x80\x00" + string("a") + b"\x00",
        b"\x01\x01\x05\x00" + string("a") + b"\x80\x00",
    ],
    ids=["count of sections", "numbers of the section", "count of deletions"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_numbers_that_are_longer_than_need_be_do_no_harm(odd: bytes, is_first: bool) -> None:
    plain = update((9, 0, [string("b")]))
    both = (odd, plain) if is_first else (plain, odd)
    assert shown([merged(*both)]) == shown(both)
    after = update((5, 1, [string("c", origin=(5, 0))]))
    assert shown([merged(odd, plain, after)]) == shown([odd, plain, after])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (update((5, 4, [gc(1)])), update((5, 0, [gc(2)]))),
        (update((5, 0, [gc(2)])), update((5, 4, [gc(1)]))),
        (update((5, 0, [string("abcd")])), update((5, 2, [gc(4)]))),
        (update((5, 0, [string("abcd")])), update((5, 0, [string("abcd")]))),
        (update((5, 0, [gc(1), skip(2), gc(1)])), update((9, 0, [gc(1)]))),
        (update((9, 0, [gc(1)])), update((5, 0, [gc(1), skip(2), gc(1)]), (4, 1, [gc(1)]))),
        (update((5, 0, [skip(3), gc(1)])), update((5, 4, [gc(1)]))),
        (update((5, 0, [gc(1), skip(3)])), update((5, 1, [gc(1)]))),
        (update((5, 0, [skip(3)]), (4, 0, [gc(1)])), update((5, 0, [gc(1)]))),
        (update((5, 0, [gc(1)])), update((5, 1, [skip(3)]), (4, 0, [gc(1)]))),
    ],
    ids=[
        "in reverse",
        "a gap",
        "an overlap",
        "the same again",
        "a hole",
        "a hole among several clients",
        "a hole in front",
        "a hole at the end",
        "nothing but a hole, then something",
        "something, then nothing but a hole",
    ],
)
def test_what_does_not_follow_is_merged_all_the_same(first: bytes, second: bytes) -> None:
    merged(first, second)
    merged(first, second, update((7, 0, [string("x")])))


def test_what_an_engine_would_lose_stays() -> None:
    subdocument = item(9, b"\x04guid\x76\x02\x04meta\x76\x01\x05owner\x77\x02me\x08autoLoad\x78")
    data = update((5, 0, [subdocument]))
    assert merged(data, update((6, 0, [string("x")]))) == update((6, 0, [string("x")]), (5, 0, [subdocument]))


def test_as_many_clients_as_you_like() -> None:
    updates = [update((client, 0, [string("x")])) for client in range(1, 301)]
    whole = merged(*updates)
    assert whole.startswith(var_uint(300))


def test_one_and_nothing() -> None:
    data = update((5, 0, [string("x")]))
    assert merged(data) == data
    assert merged(update(), update()) == update()
    assert merged(update(), data) == data
