from typing import Any

import pytest
from pycrdt import Doc

from server.protocol.originals import Originals
from server.protocol.structs import ANY, DOC, EMBED, FORMAT
from server.protocol.update_shape import check_update
from server.protocol.varint import buf, var_uint
from tests.protocol.update_bytes import item, string, update

CLIENT = 2**53 - 1
PAIR = b"\x76\x02" + buf(b"b") + b"\x7e" + buf(b"a") + b"\x7d\x40"  # {b: null, a: -0}
EIGHT_KEYS = b"\x76\x08" + b"".join(buf(key.encode()) + b"\x7e" for key in "hgfedcba")
SMALL_BIGINT = b"\x7a" + (5).to_bytes(8, "big")
JSON = b'{"h":0.1,"g":-0,"f":1e21,"e":[{"d":"\\u00e9","c":1}],"b":0,"a":0}'
PLAIN = b"\x77\x01x"


def values(*encoded: bytes) -> bytes:
    return var_uint(len(encoded)) + b"".join(encoded)


def admitted(*updates: bytes) -> Originals:
    originals = Originals()
    for data in updates:
        originals.admit(data, check_update(data))
    return originals


def engine_encoding(*updates: bytes, since: bytes = b"\0") -> bytes:
    doc: Doc[Any] = Doc()
    for data in updates:
        doc.apply_update(data)
    return doc.get_update(since)


@pytest.mark.parametrize(
    ("ref", "content"),
    [
        (EMBED, buf(JSON)),
        (EMBED, buf(b"-0")),
        (FORMAT, buf("schlüssel".encode()) + buf(JSON)),
        (DOC, buf(b"guid") + b"\x76\x01" + buf(b"meta") + PAIR),
        (ANY, values(EIGHT_KEYS)),
        (ANY, values(b"\x75\x02" + PAIR + PLAIN)),
        (ANY, values(PLAIN, b"\x7d\x40", PLAIN, SMALL_BIGINT, b"\x7d\xc0\x00")),
    ],
)
def test_what_the_engine_changes_is_put_back(ref: int, content: bytes) -> None:
    sent = update((CLIENT, 0, [string("é"), item(ref, content, origin=(CLIENT, 0))]))
    encoded = engine_encoding(sent)
    assert encoded != sent
    assert admitted(sent).restore(encoded) == sent


def test_values_are_found_in_runs_that_the_engine_has_joined_and_cut() -> None:
    first = update((CLIENT, 0, [item(ANY, values(EIGHT_KEYS, PLAIN, PAIR))]))
    second = update((CLIENT, 3, [item(ANY, values(PLAIN, SMALL_BIGINT), origin=(CLIENT, 2))]))
    originals = admitted(first, second)

    joined = originals.restore(engine_encoding(first, second))
    assert joined == update((CLIENT, 0, [item(ANY, values(EIGHT_KEYS, PLAIN, PAIR, PLAIN, SMALL_BIGINT))]))
    cut = originals.restore(engine_encoding(first, second, since=b"\1" + var_uint(CLIENT) + b"\1"))
    rest = item(ANY, values(PLAIN, PAIR, PLAIN, SMALL_BIGINT), origin=(CLIENT, 0))
    assert cut == update((CLIENT, 1, [rest]))


def test_values_around_a_deletion_stay() -> None:
    sent = update((CLIENT, 0, [item(ANY, values(PAIR, EIGHT_KEYS, SMALL_BIGINT))]))
    deletion = update(deletes=[(CLIENT, 1, 1)])
    restored = admitted(sent, deletion).restore(engine_encoding(sent, deletion))
    assert PAIR in restored
    assert SMALL_BIGINT in restored
    assert len(restored) == len(engine_encoding(sent, deletion)) + len(SMALL_BIGINT) - len(b"\x7d\x05")


def test_a_value_counts_for_its_id_alone() -> None:
    noted = update((CLIENT, 0, [item(EMBED, buf(b"1.50"))]))
    other_client = update((CLIENT - 1, 0, [item(EMBED, buf(b"2.5"))]))
    other_clock = update((CLIENT, 1, [item(EMBED, buf(b"2.5"))]))
    originals = admitted(noted)
    for data in (other_client, other_clock):
        assert originals.restore(data) is data


def test_what_is_deleted_is_forgotten() -> None:
    sent = update((CLIENT, 0, [item(ANY, values(PAIR, PLAIN, PAIR))]))
    changed = update((CLIENT, 0, [item(ANY, values(PLAIN, PLAIN, PLAIN))]))
    originals = admitted(sent)
    for deleted, expected in ((0, values(PLAIN, PLAIN, PAIR)), (2, values(PLAIN, PLAIN, PLAIN))):
        deletion = update(deletes=[(CLIENT, deleted, 1), (CLIENT - 1, 0, 9)])
        originals.admit(deletion, check_update(deletion))
        assert originals.restore(changed) == update((CLIENT, 0, [item(ANY, expected)]))


def test_what_is_deleted_by_the_update_that_brings_it_is_not_kept() -> None:
    sent = update((CLIENT, 0, [item(EMBED, buf(JSON))]), deletes=[(CLIENT, 0, 1)])
    untouched = b"not even looked at"
    assert admitted(sent).restore(untouched) is untouched


def test_a_document_without_such_values_is_not_walked() -> None:
    sent = update(
        (CLIENT, 0, [string("a"), item(EMBED, buf(b"true")), item(ANY, values(PLAIN, b"\x7d\x05"))])
    )
    untouched = b"not even looked at"
    assert admitted(sent).restore(untouched) is untouched
