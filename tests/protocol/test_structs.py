import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from server.protocol.id_set import IdSet
from server.protocol.structs import (
    ANY,
    BINARY,
    DELETED,
    DOC,
    EMBED,
    FORMAT,
    JSON,
    STRING,
    TYPE,
    Struct,
    in_order,
    read_structs,
    write_update,
)
from server.protocol.varint import MalformedBytes, buf, var_uint
from tests.protocol.update_bytes import gc, item, skip, string, update

CLIENT = 2**32 + 5


def only(data: bytes) -> Struct:
    (struct,) = read_structs(data)[0]
    return struct


def written(struct: Struct) -> bytes:
    return struct.source[struct.start : struct.end]


def a_document() -> Doc[Any]:
    doc: Doc[Any] = Doc(client_id=CLIENT)
    text = doc.get("text", type=Text)
    text += "plain, é, 漢字, 😀"
    text.insert(3, "!")
    text.format(0, 4, {"bold": True, "link": {"href": "x"}})
    text.insert_embed(2, {"image": "x"})
    del text[5:8]
    array = doc.get("array", type=Array)
    array.extend([1, 1.5, None, True, "s", b"\xff", [1, {"a": {"b": []}}], Map({"deep": Array([Text("t")])})])
    doc.get("map", type=Map)["key"] = Doc()
    xml = doc.get("xml", type=XmlFragment)
    xml.children.append(XmlElement("p", {"class": "x"}, [XmlText("in xml")]))
    return doc


def test_every_kind_of_content_is_written_as_it_was_read() -> None:
    data = a_document().get_update()
    structs, deletes = read_structs(data)
    assert {STRING, FORMAT, EMBED, ANY, TYPE, DOC, DELETED} <= {struct.ref for struct in structs}
    assert all(one.end == next_.start for one, next_ in pairwise(structs))
    assert deletes
    assert write_update(in_order(structs), deletes) == data


def test_a_struct_knows_its_ids() -> None:
    data = update(
        (
            CLIENT,
            200,
            [
                string("abc"),
                string("d", origin=(CLIENT, 202), right=(7, 1000)),
                string("e", right=(7, 1000)),
                item(TYPE, b"\x03" + buf(b"p"), parent=(2**53 - 1, 3)),
                bytes((ANY | 0x20,)) + b"\1" + buf(b"map") + buf("ключ".encode()) + b"\x01\x7e",
            ],
        ),
        deletes=[(7, 1, 2)],
    )
    structs, deletes = read_structs(data)
    assert [(struct.client, struct.clock, struct.length, struct.ref) for struct in structs] == [
        (CLIENT, 200, 3, STRING),
        (CLIENT, 203, 1, STRING),
        (CLIENT, 204, 1, STRING),
        (CLIENT, 205, 1, TYPE),
        (CLIENT, 206, 1, ANY),
    ]
    assert [struct.origin for struct in structs] == [None, (CLIENT, 202), None, None, None]
    assert [struct.right_origin for struct in structs] == [None, (7, 1000), (7, 1000), None, None]
    assert [struct.parent for struct in structs] == ["text", None, None, (2**53 - 1, 3), "map"]
    assert structs[-1].key == "ключ"
    assert deletes == IdSet([(7, 1, 2)])


@pytest.mark.parametrize(
    ("struct", "length"),
    [
        (gc(300), 300),
        (skip(300), 300),
        (item(DELETED, var_uint(300)), 300),
        (string("é漢😀"), 4),
        (item(JSON, b"\x02" + buf(b'{"a":1}') + buf(b"undefined")), 2),
        (item(BINARY, buf(b"\xff\xfe")), 1),
        (item(EMBED, buf(json.dumps({"a": "é"}).encode())), 1),
        (item(FORMAT, buf(b"bold") + buf(b"true")), 1),
        (item(ANY, b"\x05\x7f\x7e\x7d\xc0\x80\x01\x7c\0\0\0\0\x7b\0\0\0\0\0\0\0\0"), 5),
        (item(ANY, b"\x04\x7a\0\0\0\0\0\0\0\0\x79\x78\x77" + buf(b"s")), 4),
        (item(ANY, b"\x03\x76\x02\x01a\x75\x02\x7e\x75\x00\x01b\x76\x01\x01c\x7e\x74\x02\xff\xff\x7f"), 3),
        (item(DOC, buf(b"guid") + b"\x76\x01\x04meta\x75\x01\x7e"), 1),
    ],
)
def test_contents_have_their_lengths(struct: bytes, length: int) -> None:
    read = read_structs(update((CLIENT, 0, [struct, string("next")])))[0]
    assert [part.length for part in read] == [length, 4]
    assert written(read[0]) == struct


@given(st.text(alphabet="aé漢😀\ufffd", min_size=2, max_size=200), st.data())
def test_a_string_is_cut_by_utf16_units(text: str, data: st.DataObject) -> None:
    struct = only(update((CLIENT, 10, [string(text, right=(7, 1))])))
    offset = data.draw(st.integers(1, struct.length - 1)) if struct.length > 1 else 1
    cut = struct.cut(offset)
    units = text.encode("utf-16-le")[2 * offset :]
    is_low_half = 0xDC <= units[1] <= 0xDF
    rest = "\ufffd" + units[2:].decode("utf-16-le") if is_low_half else units.decode("utf-16-le")
    assert cut.text == rest
    assert written(cut) == string(rest, origin=(CLIENT, 9 + offset), right=(7, 1))
    again = only(update((CLIENT, cut.clock, [written(cut)])))
    assert (again.clock, again.length, again.origin) == (10 + offset, struct.length - offset, cut.origin)


@pytest.mark.parametrize(
    ("whole", "rest"),
    [
        (gc(300), gc(298)),
        (skip(3), skip(1)),
        (item(DELETED, b"\x03", origin=(7, 7)), item(DELETED, b"\x01", origin=(CLIENT, 1))),
        (item(ANY, b"\x03\x7e\x77\x01a\x7f"), item(ANY, b"\x01\x7f", origin=(CLIENT, 1))),
        (item(JSON, b"\x03\x01" + b"1\x012\x013"), item(JSON, b"\x01\x013", origin=(CLIENT, 1))),
    ],
)
def test_other_contents_are_cut_by_their_values(whole: bytes, rest: bytes) -> None:
    cut = only(update((CLIENT, 0, [whole]))).cut(2)
    assert written(cut) == rest
    assert (cut.clock, cut.source[cut.content : cut.end]) == (2, rest[-(cut.end - cut.content) :])


def test_in_order_drops_overlaps_and_skips() -> None:
    late, early = (
        update((1, 4, [string("efgh")])),
        update((1, 0, [string("abc"), skip(2), string("f")]), (9, 0, [gc(1)])),
    )
    structs = read_structs(late)[0] + read_structs(early)[0]
    assert [(struct.clock, struct.length) for struct in in_order(structs)[1]] == [(0, 3), (4, 4)]
    cut = in_order(read_structs(early)[0] + read_structs(update((1, 1, [string("bcde")])))[0])[1]
    assert [(struct.clock, struct.length) for struct in cut] == [(0, 3), (3, 2), (5, 1)]
    assert cut[1].text == "de"


def test_holes_are_written_as_skips() -> None:
    structs = read_structs(update((1, 4, [string("a"), skip(2), string("b")]), (9, 0, [gc(1)])))[0]
    data = write_update(in_order(structs), IdSet())
    assert data == update((9, 0, [gc(1)]), (1, 4, [string("a"), skip(2), string("b")]))


def test_nesting_costs_no_stack() -> None:
    depth = 100_000
    deep = item(ANY, b"\x01" + b"\x75\x01" * depth + b"\x7e")
    assert only(update((1, 0, [deep]))).length == 1


@given(st.data())
def test_bytes_that_end_early_are_malformed(data: st.DataObject) -> None:
    whole = a_document().get_update()
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(MalformedBytes):
        read_structs(whole[:end])


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        structs, _ = read_structs(data)
    except MalformedBytes:
        return
    assert all(struct.end <= len(data) for struct in structs)


@pytest.mark.parametrize(
    "data", ["ff ff ff ff 0f 00", "01 ff ff ff ff 0f 01 00", "01 01 01 00 0b 01 01 74 00 00"]
)
def test_counts_and_contents_that_cannot_be(data: str) -> None:
    with pytest.raises(MalformedBytes):
        read_structs(bytes.fromhex(data))
