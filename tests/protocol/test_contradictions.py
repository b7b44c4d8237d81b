"""The same ids, used twice for different things, are noticed; used for the same, never."""

import pytest
from pycrdt import Array, Doc, Map, Text

from server.engine.document import Document
from server.protocol.contradictions import contradicted
from server.protocol.update_shape import check_update


def typed(client_id: int, *pieces: str) -> Doc[Text]:
    doc: Doc[Text] = Doc(client_id=client_id)
    text = doc.get("content", type=Text)
    for piece in pieces:
        text.insert(len(text), piece)
    return doc


def listed(client_id: int, *values: object) -> bytes:
    doc: Doc[Array[object]] = Doc(client_id=client_id)
    doc.get("list", type=Array).extend(list(values))
    return doc.get_update()


def mapped(client_id: int, value: object) -> bytes:
    doc: Doc[Map[object]] = Doc(client_id=client_id)
    doc.get("map", type=Map)["key"] = value
    return doc.get_update()


def test_a_document_agrees_with_its_own_past_and_future() -> None:
    doc = typed(1, "one ", "zwei \U0001f600 ", "three")
    past = doc.get_update()
    text = doc.get("content", type=Text)
    del text[2:6]
    text.insert(1, "in between")
    for one, other in ((past, doc.get_update()), (doc.get_update(), past), (past, past)):
        assert contradicted(one, other) == set()


def test_however_it_is_cut_into_structs_the_same_text_is_the_same() -> None:
    whole, pieces = typed(1, "abcdefghi").get_update(), Document.load([typed(1, "abc").get_update()])
    later = typed(1, "abc", "def", "ghi").get_update()
    assert contradicted(whole, later) == set()
    assert contradicted(pieces.encode_since(b"\0"), whole) == set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (typed(1, "chapter").get_update(), typed(1, "template").get_update()),
        (typed(1, "the same and more").get_update(), typed(1, "the same, but").get_update()),
        (listed(1, "a", "b", "c"), listed(1, "a", "x")),
        (listed(1, 1, 2), typed(1, "ab").get_update()),
        (mapped(1, {"a": 1}), mapped(1, {"a": 2})),
    ],
)
def test_other_content_under_the_same_id_is_noticed(one: bytes, other: bytes) -> None:
    assert contradicted(one, other) == contradicted(other, one) == {1}


def test_other_clients_do_not_matter() -> None:
    assert contradicted(typed(1, "one").get_update(), typed(2, "two").get_update()) == set()
    both = Document.load([typed(1, "one").get_update(), typed(2, "two").get_update()]).encode_since(b"\0")
    assert contradicted(both, typed(2, "another").get_update()) == {2}
    assert check_update(both).structs.keys() == {1, 2}


def test_lists_agree_where_one_goes_on() -> None:
    assert contradicted(listed(1, "a", {"b": 1}), listed(1, "a", {"b": 1}, 3)) == set()
