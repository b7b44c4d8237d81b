from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from server.protocol import split_update
from server.protocol.id_set import IdSet
from server.protocol.merge_updates import merge_updates, state_vector_of
from server.protocol.split_update import split_ready, without_new, without_structs
from server.protocol.structs import SKIP, Struct, read_structs
from tests.protocol.update_bytes import Id, Section, gc, skip, string, update

clients = st.integers(1, 4)
ids = st.tuples(clients, st.integers(0, 8))
states = st.dictionaries(clients, st.integers(0, 6))
structs = st.one_of(
    st.builds(skip, st.integers(1, 2)),
    st.builds(gc, st.integers(1, 3)),
    st.builds(
        string,
        st.text(alphabet="a😀", min_size=1, max_size=2),
        origin=st.none() | ids,
        right=st.none() | ids,
        parent=st.none() | ids,
    ),
)
updates = st.builds(
    lambda sections, deletes: update(
        *((client, *rest) for client, rest in sections.items()), deletes=deletes
    ),
    st.dictionaries(
        clients, st.tuples(st.integers(0, 4), st.lists(structs, min_size=1, max_size=6)), max_size=4
    ),
    st.lists(st.tuples(clients, st.integers(0, 12), st.integers(1, 4)), max_size=4),
)


def clocks(parts: Iterable[Struct]) -> set[Id]:
    return {(part.client, part.clock + offset) for part in parts for offset in range(part.length)}


def needed(struct: Struct) -> list[Id]:
    return [link for link in (struct.origin, struct.right_origin, struct.parent) if isinstance(link, tuple)]


def integrated(parts: list[Struct], state: dict[int, int]) -> tuple[list[Struct], dict[int, int]]:
    """The model: try every struct again and again, until a round brings nothing."""
    state, done = dict(state), []
    left = [part for part in parts if part.ref != SKIP]
    while True:
        for part in left:
            known = state.get(part.client, 0)
            is_known = part.clock + part.length <= known
            links = all(clock < state.get(client, 0) for client, clock in needed(part))
            if is_known or (part.clock <= known and links):
                left.remove(part)
                if not is_known:
                    done.append(part)
                    state[part.client] = part.clock + part.length
                break
        else:
            return done, state


def parts_of(data: bytes | None) -> tuple[list[Struct], IdSet]:
    return read_structs(data) if data is not None else ([], IdSet())


def written(parts: Iterable[Struct]) -> set[bytes]:
    return {part.source[part.start : part.end] for part in parts if part.ref != SKIP}


@given(updates, states)
def test_ready_is_what_a_document_would_integrate(data: bytes, state: dict[int, int]) -> None:
    ready, rest = split_ready(data, state)
    parts, deletes = read_structs(data)
    whole, reached = integrated(parts, state)
    expected = [
        part.cut(known - part.clock) if part.clock < (known := state.get(part.client, 0)) else part
        for part in whole
    ]
    (now, deletes_now), (later, deletes_later) = parts_of(ready), parts_of(rest)

    assert clocks(now) == clocks(expected)
    assert written(now) == written(expected)
    still_unknown = [
        part for part in parts if part.ref != SKIP and part.clock + part.length > reached.get(part.client, 0)
    ]
    assert clocks(part for part in later if part.ref != SKIP) == clocks(still_unknown)
    assert written(later) == written(still_unknown)
    assert (deletes_now, deletes_later) == deletes.split_at(reached)

    assert ready is None or now or deletes_now
    assert rest is None or later or deletes_later
    if ready is not None:  # stands by itself
        assert split_ready(ready, state) == (ready, None)
    if rest is not None:
        assert split_ready(rest, reached)[0] is None


def test_an_update_that_is_ready_comes_back_as_it_is() -> None:
    data = update((5, 2, [string("ab", origin=(5, 1)), string("c", right=(7, 0))]), deletes=[(7, 0, 1)])
    assert split_ready(data, {5: 2, 7: 1})[0] is data


def test_nothing_comes_of_nothing() -> None:
    assert split_ready(update(), {}) == (None, None)
    assert split_ready(update((5, 0, [string("abc")])), {5: 3}) == (None, None)


def test_of_a_partly_known_struct_the_new_end_is_ready() -> None:
    data = update((5, 0, [string("a"), string("bcd", origin=(5, 0))]))
    assert split_ready(data, {5: 2}) == (update((5, 2, [string("cd", origin=(5, 1))])), None)


def test_deletions_are_cut_where_the_known_ends() -> None:
    data = update((5, 0, [string("abc"), string("d", origin=(9, 9))]), deletes=[(5, 1, 3), (7, 0, 2)])
    assert split_ready(data, {}) == (
        update((5, 0, [string("abc")]), deletes=[(5, 1, 2)]),
        update((5, 3, [string("d", origin=(9, 9))]), deletes=[(5, 3, 1), (7, 0, 2)]),
    )


def test_circles_wait_for_ever() -> None:
    circle = update((5, 0, [string("a", origin=(7, 0))]), (7, 0, [string("b", origin=(5, 0))]))
    itself = update((5, 0, [string("a", origin=(5, 0))]))
    for data in (circle, itself):
        ready, rest = split_ready(data, {})
        assert ready is None
        assert rest is not None
        assert written(parts_of(rest)[0]) == written(parts_of(data)[0])


@given(st.integers(0, 2**32), st.data())
def test_the_engine_integrates_all_that_is_ready(seed: int, data: st.DataObject) -> None:
    sent: list[bytes] = []
    one: Doc[Any] = Doc(client_id=1)
    other: Doc[Any] = Doc(client_id=2**40)
    for doc in (one, other):
        doc.observe(lambda event: sent.append(event.update))
    for step in range(12):
        doc = data.draw(st.sampled_from([one, other]))
        text = doc.get("text", type=Text)
        text.insert(data.draw(st.integers(0, len(text))), f"{step:x}")
        if len(text) > 3:
            del text[1:3]
        if step % 4 == 3:
            one.apply_update(other.get_update(one.get_state()))
    some = data.draw(st.lists(st.sampled_from(sent), min_size=1))
    engine: Doc[Any] = Doc()
    known: dict[int, int] = {}
    ready, rest = split_ready(merge_updates(some), known)
    for waiting in (rest, merge_updates(sent)):
        if ready is not None:
            engine.apply_update(ready)
            known = state_vector_of(merge_updates([engine.get_update()]))
        ready, rest = split_ready(merge_updates([waiting or b"\0\0", *sent]), known)
    assert ready is None or not read_structs(ready)[0]
    assert rest is None
    whole: Doc[Any] = Doc()
    whole.apply_update(merge_updates(sent))
    assert str(engine.get("text", type=Text)) == str(whole.get("text", type=Text))


def ping_pong(length: int) -> bytes:
    """Two clients, each of whose structs hangs on the other's one before."""
    one = [string("a", origin=(2, clock - 1) if clock else None) for clock in range(length)]
    other = [string("b", origin=(1, clock)) for clock in range(length)]
    return update((2, 0, other), (1, 0, one))


def fan(length: int) -> bytes:
    """Many clients that all wait for the same one, which waits for them in turn."""
    waiters: list[Section] = [(client, 0, [string("a", origin=(1, client))]) for client in range(2, length)]
    chain = [string("b", right=(clock, 0) if 2 <= clock < length else None) for clock in range(length + 1)]
    return update(*waiters, (1, 0, chain))


@pytest.mark.parametrize("shape", [ping_pong, fan])
def test_hostile_shapes_are_looked_at_a_bounded_number_of_times(
    shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0
    missing = split_update._missing

    def counting(*arguments: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return missing(*arguments)

    monkeypatch.setattr(split_update, "_missing", counting)
    data = shape(2_000)
    split_ready(data, {})
    assert looked_at <= 5 * len(read_structs(data)[0])


def test_without_structs_keeps_the_rest_as_it_is() -> None:
    data = update(
        (7, 0, [string("x")]), (5, 2, [string("ab"), string("c"), string("d")]), deletes=[(5, 0, 9)]
    )
    assert without_structs(
        data, lambda client, clock, length: (client, clock, length) == (5, 4, 1)
    ) == update((7, 0, [string("x")]), (5, 2, [string("ab"), skip(1), string("d")]), deletes=[(5, 0, 9)])
    assert without_structs(data, lambda *_: False) is data
    assert without_structs(data, lambda *_: True) == update(deletes=[(5, 0, 9)])


def test_without_new_lets_known_structs_pass() -> None:
    data = update((7, 0, [string("x")]), (5, 2, [string("ab"), string("c")]))
    assert without_new(data, {5: 4}, frozenset({5})) == update((7, 0, [string("x")]), (5, 2, [string("ab")]))
    assert without_new(data, {5: 5}, frozenset({5})) is data
