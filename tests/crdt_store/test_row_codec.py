"""The bytes of a stored row."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_store.row_codec import (
    decode_client_ids,
    decode_parts,
    decode_updates,
    encode_client_ids,
    encode_parts,
    encode_updates,
    history_checksum,
    row_checksum,
    snapshot_checksum,
)
from crdt_store.update_log import Update

UPDATES = st.lists(st.builds(Update, st.binary(max_size=300), st.integers(0, 2**53)))
CLIENT_IDS = st.lists(st.integers(0, 2**53 - 1))


@given(UPDATES)
def test_updates_come_back(updates: list[Update]) -> None:
    assert decode_updates(encode_updates(updates)) == tuple(updates)


@given(CLIENT_IDS)
def test_client_ids_come_back(client_ids: list[int]) -> None:
    assert decode_client_ids(encode_client_ids(client_ids)) == tuple(client_ids)


@given(st.lists(st.binary(max_size=300)))
def test_the_parts_of_a_snapshot_come_back(parts: list[bytes]) -> None:
    assert decode_parts(encode_parts(parts)) == tuple(parts)


def test_the_format_of_this_release_stays_readable() -> None:
    updates = (Update(b"ab", 1000), Update(b"", 1001), Update(b"c", 999))
    assert encode_updates(updates) == bytes.fromhex("d00f0261620200030163")
    assert encode_client_ids((5, 300)) == bytes.fromhex("05ac02")
    assert row_checksum("döc", 1, None, b"\x05", b"payload", 2, 3).hex() == "318da96bfb00dbb1"
    assert encode_parts((b"ab", b"", b"c")) == bytes.fromhex("026162000163")
    assert snapshot_checksum("döc", 1, b"data", b"summary", 2).hex() == "57443707fd2461f8"
    history = history_checksum("döc", 1, (2, 3), None, b"\x05", b"payload", (4, 5))
    assert history.hex() == "369bdb270b1b847f"


@pytest.mark.parametrize("decode", [decode_updates, decode_client_ids, decode_parts])
@given(data=st.binary(max_size=40))
def test_any_bytes_are_decoded_or_a_value_error(decode: Callable[[bytes], object], data: bytes) -> None:
    with suppress(ValueError):
        decode(data)


@pytest.mark.parametrize("decode", [decode_updates, decode_client_ids, decode_parts])
def test_an_integer_without_an_end_is_refused_at_once(decode: Callable[[bytes], object]) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        decode(b"\xff" * 2**20)


@pytest.mark.parametrize(
    "other",
    [
        ("b", 1, 2, b"\x05", b"payload", 3, 4),
        ("a", 2, 2, b"\x05", b"payload", 3, 4),
        ("a", 1, None, b"\x05", b"payload", 3, 4),
        ("a", 1, 2, b"\x06", b"payload", 3, 4),
        ("a", 1, 2, b"\x05p", b"ayload", 3, 4),
        ("a\x05", 1, 2, b"", b"payload", 3, 4),
        ("a", 1, 2, b"\x05", b"pAyload", 3, 4),
        ("a", 1, 2, b"\x05", b"payload", 4, 4),
        ("a", 1, 2, b"\x05", b"payload", 3, 5),
    ],
)
def test_the_checksum_is_over_every_field(
    other: tuple[str, int, int | None, bytes, bytes, int, int],
) -> None:
    assert row_checksum(*other) != row_checksum("a", 1, 2, b"\x05", b"payload", 3, 4)


@pytest.mark.parametrize(
    "other",
    [
        ("b", 1, (2, 3), 4, b"\x05", b"payload", (6, 7)),
        ("a", 2, (2, 3), 4, b"\x05", b"payload", (6, 7)),
        ("a", 1, (1, 3), 4, b"\x05", b"payload", (6, 7)),
        ("a", 1, (2, 4), 4, b"\x05", b"payload", (6, 7)),
        ("a", 1, (2, 3), None, b"\x05", b"payload", (6, 7)),
        ("a", 1, (2, 3), 4, b"\x06", b"payload", (6, 7)),
        ("a", 1, (2, 3), 4, b"\x05p", b"ayload", (6, 7)),
        ("a", 1, (2, 3), 4, b"\x05", b"pAyload", (6, 7)),
        ("a", 1, (2, 3), 4, b"\x05", b"payload", (5, 7)),
        ("a", 1, (2, 3), 4, b"\x05", b"payload", (6, 8)),
    ],
)
def test_the_checksum_of_the_history_is_over_every_field(
    other: tuple[str, int, tuple[int, int], int | None, bytes, bytes, tuple[int, int]],
) -> None:
    assert history_checksum(*other) != history_checksum("a", 1, (2, 3), 4, b"\x05", b"payload", (6, 7))


@pytest.mark.parametrize(
    "other",
    [
        ("b", 1, b"data", b"summary", 2),
        ("a", 2, b"data", b"summary", 2),
        ("a", 1, b"dAta", b"summary", 2),
        ("a", 1, b"data", b"Summary", 2),
        ("a", 1, b"ydata", b"summar", 2),
        ("a", 1, b"data", b"summary", 3),
    ],
)
def test_the_checksum_of_a_snapshot_is_over_every_field(other: tuple[str, int, bytes, bytes, int]) -> None:
    assert snapshot_checksum(*other) != snapshot_checksum("a", 1, b"data", b"summary", 2)
