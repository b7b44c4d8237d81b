"""Frames of the y-websocket protocol; the golden bytes are protocols of stock clients."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.protocol.awareness_codec import (
    AwarenessEntry,
    MalformedAwareness,
    read_entries,
    stamp_user,
    write_entries,
)
from server.protocol.varint import MAX_SAFE_INTEGER, MalformedBytes, read_var_uint, var_uint
from server.protocol.yjs_messages import (
    Awareness,
    MalformedFrame,
    QueryAwareness,
    SyncStatus,
    SyncStep1,
    Update,
    permission_denied,
    read_frame,
)


@pytest.mark.parametrize(
    ("frame", "messages"),
    [
        (b"\x00\x00\x01\x00", [SyncStep1(b"\x00")]),
        (b"\x00\x01\x02\x00\x00", [Update(b"\x00\x00", is_reply=True)]),
        (b"\x00\x02\x02\x00\x00", [Update(b"\x00\x00", is_reply=False)]),
        (b"\x01\x01\x00", [Awareness(b"\x00")]),
        (b"\x03", [QueryAwareness()]),
        (b"\x03\x05hello", [QueryAwareness()]),
        (b"\x66\x01\x07", [SyncStatus(b"\x66\x01\x07")]),
        (b"\x00\x00", []),
        (b"\x01\x01\x00\x00\x00\x01\x00", [Awareness(b"\x00"), SyncStep1(b"\x00")]),
    ],
)
def test_frames_are_read(frame: bytes, messages: list[object]) -> None:
    assert list(read_frame(frame)) == messages


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_malformed(frame: bytes) -> None:
    with suppress(MalformedFrame):
        list(read_frame(frame))


@given(st.binary(max_size=64))
def test_any_awareness_is_read_or_malformed(data: bytes) -> None:
    with suppress(MalformedAwareness):
        entries = read_entries(data)
        assert read_entries(write_entries(entries)) == entries


@given(st.integers(0, MAX_SAFE_INTEGER))
def test_integers_round_trip(value: int) -> None:
    assert read_var_uint(var_uint(value), 0) == (value, len(var_uint(value)))


def test_an_integer_is_given_up_after_eight_bytes() -> None:
    with pytest.raises(MalformedBytes, match="53 bits"):
        read_var_uint(b"\xff" * 300_000, 0)


def test_a_leave_is_read_as_stock_clients_write_it() -> None:
    assert read_entries(b"\x01\x07\x05\x04null") == [AwarenessEntry(7, 5, None)]


def test_a_denial_is_what_stock_clients_print() -> None:
    assert permission_denied("no, нет") == b"\x02\x00\x0a" + "no, нет".encode()


@pytest.mark.parametrize(
    ("state", "stamped"),
    [
        (b'{"cursor":1}', b'{"cursor":1}'),
        (b'{"user":{"id":1,"name":"alice"}}', b'{"user":{"id":1,"name":"alice"}}'),
        (b'{"user":{"name":"bob","color":"#f00"}}', b'{"user":{"color":"#f00","id":1,"name":"alice"}}'),
        (b'{"user":{"avatar":"https://x","agent":{},"id":2}}', b'{"user":{"id":1,"name":"alice"}}'),
        (b'{"user":"bob"}', b'{"user":{"id":1,"name":"alice"}}'),
        (b'{"user":{}}', b'{"user":{"id":1,"name":"alice"}}'),
        (rb'{"user":{"tag":"\ud83d"}}', rb'{"user":{"tag":"\ud83d","id":1,"name":"alice"}}'),
    ],
)
def test_a_claimed_user_is_who_the_token_says(state: bytes, stamped: bytes) -> None:
    assert stamp_user(state, {"id": 1, "name": "alice"}) == stamped


def test_a_colour_of_the_token_goes_before_the_clients() -> None:
    shown = {"id": 1, "name": "alice", "color": "#00f"}
    assert (
        stamp_user(b'{"user":{"color":"#f00"}}', shown) == b'{"user":{"color":"#00f","id":1,"name":"alice"}}'
    )


@pytest.mark.parametrize("state", [b"", b"{", b"[]", b"5", b'{"x":NaN}', b'{"x":Infinity}', b"[" * 100_000])
def test_a_state_that_would_break_readers_is_malformed(state: bytes) -> None:
    with pytest.raises(MalformedAwareness):
        stamp_user(state, {"name": "alice"})
