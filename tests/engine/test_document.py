import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from server.engine.document import Document, EngineFailure
from server.protocol.structs import ANY, EMBED, STRING, read_structs
from server.protocol.update_shape import MalformedUpdate, check_update
from server.protocol.varint import buf, read_buf, var_uint
from tests.protocol.update_bytes import item, string, update

CLIENT = 2**40 + 1
OTHER = 7
EMBEDDED = buf(b'{"z":0.10,"y":{"x":1,"w":-0}}')


def document_of(*updates: bytes) -> Document:
    document = Document()
    for data in updates:
        document.apply(data, check_update(data))
    return document


FIRST = update((CLIENT, 0, [string("a"), item(EMBED, EMBEDDED, origin=(CLIENT, 0))]))
SECOND = update((OTHER, 0, [item(EMBED, EMBEDDED, origin=(CLIENT, 1)), string("😀", origin=(OTHER, 0))]))
BOTH = update(
    (CLIENT, 0, [string("a"), item(EMBED, EMBEDDED, origin=(CLIENT, 0))]),
    (OTHER, 0, [item(EMBED, EMBEDDED, origin=(CLIENT, 1)), string("😀", origin=(OTHER, 0))]),
)


def test_a_newcomer_gets_the_clients_own_bytes() -> None:
    document = document_of(FIRST, SECOND)
    assert document.ydoc.get_update() != BOTH
    assert document.encode_since(b"\0") == BOTH


def test_who_returns_gets_the_clients_own_bytes() -> None:
    document = document_of(FIRST, SECOND)
    since = b"\1" + var_uint(CLIENT) + b"\2"
    assert document.encode_since(since) == SECOND
    assert document.encode_of_clients([OTHER]) == SECOND


def test_a_snapshot_keeps_the_clients_own_bytes() -> None:
    snapshot = document_of(FIRST).encode_since(b"\0")
    assert Document.load([snapshot, SECOND]).encode_since(b"\0") == BOTH
    assert Document.load([Document.load([FIRST, SECOND]).encode_since(b"\0")]).encode_since(b"\0") == BOTH


def test_the_bytes_stay_when_the_engine_gets_others_for_a_torn_pair() -> None:
    tearing = update(deletes=[(OTHER, 2, 1)])
    document = Document.load([FIRST, SECOND, tearing])
    structs, _ = read_structs(document.encode_since(b"\0"))
    assert [one.source[one.content : one.end] for one in structs if one.ref == EMBED] == [EMBEDDED, EMBEDDED]
    assert [one.text for one in structs if one.ref == STRING] == ["a", "\ufffd"]


def test_what_the_engine_refuses_is_a_failure() -> None:
    document = Document()
    with pytest.raises(EngineFailure):
        document.encode_since(b"\xff")


# Any value at all


def an_any(value: object) -> bytes:
    """What lib0 writes for a value; a complex number stands for a bigint."""
    if isinstance(value, bool | None):
        return {True: b"\x78", False: b"\x79", None: b"\x7e"}[value]
    if isinstance(value, complex):
        return b"\x7a" + int(value.real).to_bytes(8, "big", signed=True)
    if isinstance(value, float):
        return a_number(value)
    if isinstance(value, str):
        return b"\x77" + buf(value.encode())
    if isinstance(value, bytes):
        return b"\x74" + buf(value)
    if isinstance(value, dict):
        items = (buf(key.encode()) + an_any(held) for key, held in value.items())
        return b"\x76" + var_uint(len(value)) + b"".join(items)
    assert isinstance(value, list)
    return b"\x75" + var_uint(len(value)) + b"".join(map(an_any, value))


def a_number(value: float) -> bytes:
    if value.is_integer() and abs(value) < 2**31:
        sign = 0x40 if struct.pack(">d", value)[0] & 0x80 else 0
        size = int(abs(value))
        more = 0x80 if size > 0x3F else 0
        return bytes((0x7D, more | sign | size & 0x3F)) + (var_uint(size >> 6) if more else b"")
    try:
        short = struct.pack(">f", value)
    except OverflowError:
        short = b""
    if short and struct.unpack(">f", short)[0] == value:
        return b"\x7c" + short
    return b"\x7b" + struct.pack(">d", value)


NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53).map(float)
BIGINTS = st.integers(-(2**53), 2**53).map(complex)
JSON_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | (
    st.integers(-(10**308), 2**63 - 1) | st.integers(2**64, 10**308)
)


def nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
    )


@given(st.lists(nested(st.none() | st.booleans() | st.text() | st.binary() | NUMBERS | BIGINTS), min_size=1))
def test_any_values_come_back_as_they_were(values: list[object]) -> None:
    content = var_uint(len(values)) + b"".join(map(an_any, values))
    sent = update((CLIENT, 0, [item(ANY, content)]))
    assert document_of(sent).encode_since(b"\0") == sent


@given(nested(st.none() | st.booleans() | st.text() | JSON_NUMBERS))
def test_json_says_what_it_said(value: object) -> None:
    text = json.dumps(value)
    sent = update((CLIENT, 0, [item(EMBED, buf(text.encode()))]))
    (embed,), _ = read_structs(document_of(sent).encode_since(b"\0"))
    encoded, _ = read_buf(embed.source, embed.content)
    assert as_javascript_reads(encoded.decode()) == as_javascript_reads(text)


@pytest.mark.parametrize("integer", [2**63, 2**64 - 1, 10**309, -(10**309)])
def test_an_integer_that_the_engine_cannot_hold_is_refused_before(integer: int) -> None:
    with pytest.raises(MalformedUpdate, match="out of range"):
        check_update(update((CLIENT, 0, [item(EMBED, buf(b"[%d]" % integer))])))


def as_javascript_reads(text: str) -> str:
    return repr(json.loads(text, parse_int=float, object_pairs_hook=list))


def test_an_answer_is_encoded_once_until_the_document_changes() -> None:
    document = Document.load([plain_text("much " * 1000)])
    first = document.encode_since(b"\0")
    assert document.encode_since(b"\0") is first
    change = plain_text("more", client_id=9)
    document.apply(change, check_update(change))
    assert document.encode_since(b"\0") != first


def test_values_are_put_back_beside_clients_that_wrote_none() -> None:
    """In one update, whoever asks with whatever it has."""
    with_value = update((5, 0, [string("a"), item(EMBED, EMBEDDED, origin=(5, 0))]))
    sources = {4: plain_text("one", client_id=4), 5: with_value, 6: plain_text("two", client_id=6)}
    document = Document.load(list(sources.values()))
    for known in ([], [4], [5], [4, 6], [4, 5, 6]):
        replica = Document.load([sources[client] for client in known])
        answer = document.encode_since(replica.state_vector())
        assert check_update(answer).structs.keys() == sources.keys() - set(known)
        values = [one.source[one.content : one.end] for one in read_structs(answer)[0] if one.ref == EMBED]
        assert values == ([] if 5 in known else [EMBEDDED])


def plain_text(text: str, client_id: int = 7) -> bytes:
    doc: Doc[Text] = Doc(client_id=client_id)
    doc.get("content", type=Text).insert(0, text)
    return doc.get_update()
