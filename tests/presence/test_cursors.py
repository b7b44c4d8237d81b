"""Cursors stick to characters, whatever is edited; and whatever a client claims, nothing fails."""

import random
from typing import Any

import pytest
from pycrdt import Array, Assoc, Doc, Map, StickyIndex, Text

from server.engine.document import Document
from server.engine.positions import Position, indexes_of
from server.presence import cursors as cursors_module
from server.presence.cursors import Cursors


def document_of(doc: "Doc[Any]") -> Document:
    return Document.load([doc.get_update()])


def relative(client: int, clock: int, assoc: int = 0, root: str | None = "content") -> dict[str, Any]:
    """As Yjs writes a position at a character."""
    return {"type": None, "tname": root, "item": {"client": client, "clock": clock}, "assoc": assoc}


END = {"type": None, "tname": "content", "item": None, "assoc": 0}


@pytest.fixture
def doc() -> "Doc[Text]":
    doc: Doc[Text] = Doc(client_id=5)
    doc.get("content", type=Text).insert(0, "one\n🦄two\nthree")
    return doc


def test_a_relative_position_is_shown_as_line_and_column(doc: "Doc[Text]") -> None:
    cursors = Cursors(document_of(doc))
    assert cursors.places({"anchor": relative(5, 6), "head": END}) == {
        "anchor": {"line": 1, "column": 2, "code_points": 1},
        "head": {"line": 2, "column": 5, "code_points": 5},
    }
    assert cursors.places({"anchor": relative(5, 0), "head": None}) == {
        "anchor": {"line": 0, "column": 0, "code_points": 0}
    }


def test_a_line_and_column_becomes_a_position_that_yjs_understands(doc: "Doc[Text]") -> None:
    made = Cursors(document_of(doc)).relative({"line": 1, "code_points": 1})
    assert made == {"anchor": relative(5, 6), "head": relative(5, 6)}
    ends = {"anchor": {"line": 0, "column": 1}, "head": {"line": 99}}
    assert Cursors(document_of(doc)).relative(ends) == {"anchor": relative(5, 1), "head": END}


def test_a_cursor_goes_with_its_character(doc: "Doc[Text]") -> None:
    document = document_of(doc)
    made = Cursors(document).relative({"line": 2, "column": 1})
    other: Doc[Text] = Doc(client_id=6)
    other.apply_update(doc.get_update())
    known = other.get_state()
    other.get("content", type=Text).insert(0, "zero\n")
    document.take_in(other.get_update(known))
    assert Cursors(document).places(made) == {
        end: {"line": 3, "column": 1, "code_points": 1} for end in ("anchor", "head")
    }


def test_of_a_character_that_is_deleted_the_place_is_left(doc: "Doc[Text]") -> None:
    text = doc.get("content", type=Text)
    del text[1:3]
    assert indexes_of(document_of(doc), "content", [Position((5, 2), 0)]) == [1]


@pytest.mark.parametrize(
    "position",
    [
        None,
        7,
        {},
        "content",
        relative(99, 0),
        relative(5, 10_000),
        relative(5, 2**60),
        relative(-1, 0),
        relative(5, 0, root="other"),
        relative(5, 0, root=None),
        {"tname": "content", "item": "x"},
        {"tname": "content", "item": {"client": True, "clock": 0.5}},
        {"tname": ["content"], "item": {"client": 5, "clock": 0}},
    ],
)
def test_what_is_no_position_of_the_text_has_no_place(doc: "Doc[Text]", position: Any) -> None:
    cursors = Cursors(document_of(doc))
    assert cursors.places({"anchor": position, "head": position}) is None
    assert cursors.places(position) is None


def test_what_is_elsewhere_in_the_document_has_no_place() -> None:
    """yrs would panic at garbage, and count among the wrong neighbours elsewhere."""
    doc: Doc[Any] = Doc(client_id=5)
    doc["content"] = Text("text")
    doc["list"] = Array([1, 2])
    doc["map"] = Map({"nested": Array(["x", "y"])})
    del doc["map"]["nested"]
    cursors = Cursors(document_of(doc))
    found = [cursors.places({"head": relative(5, clock)}) for clock in range(20)]
    assert [place is not None for place in found] == [True] * 4 + [False] * 16


@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_edited_it_says_what_the_engine_says(seed: int) -> None:
    dice = random.Random(seed)
    docs: list[Doc[Text]] = [Doc(client_id=client) for client in (5, 6)]
    for _ in range(30):
        doc = dice.choice(docs)
        text = doc.get("content", type=Text)
        length = len(str(text))
        if length > 4 and dice.random() < 0.3:
            start = dice.randrange(length - 3)
            del text[start : start + 3]
        else:
            text.insert(dice.randrange(length + 1), "".join(dice.choices("ab\n", k=3)))
        if dice.random() < 0.3:
            for one, other in (docs, docs[::-1]):
                one.apply_update(other.get_update(one.get_state()))
    docs[0].apply_update(docs[1].get_update(docs[0].get_state()))
    document, text = document_of(docs[0]), docs[0].get("content", type=Text)
    plain = str(text)
    for index in range(len(plain)):
        item = text.sticky_index(index, Assoc.AFTER).to_json()["item"]
        assert indexes_of(document, "content", [Position((item["client"], item["clock"]), 0)]) == [index]
        place = {"line": plain[:index].count("\n"), "column": index - plain.rfind("\n", 0, index) - 1}
        made = Cursors(document).relative(place)
        assert made is not None
        assert StickyIndex.from_json(made["head"], text).get_index() == index


def test_in_a_large_document_nothing_is_worked_out(doc: "Doc[Text]", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursors_module, "MAX_CLOCKS", 5)
    cursors = Cursors(document_of(doc))
    assert cursors.places({"head": relative(5, 0)}) is None
    assert cursors.relative({"line": 0}) is None


def test_places_are_right_in_texts_of_several_pieces_in_any_script() -> None:
    """The engine alone takes the `a` of these for number 6."""
    doc: Doc[Text] = Doc(client_id=5)
    text = doc.get("content", type=Text)
    for piece in ("a📊日\n", "📊é", "é\n👩‍🚀"):
        text.insert(0, piece)
    said = str(text)
    document = document_of(doc)
    for line, row in enumerate(said.split("\n")):
        for code_points in range(len(row)):
            column = len(row[:code_points].encode("utf-16-le")) // 2
            place = {"line": line, "column": column, "code_points": code_points}
            made = Cursors(document).relative({"line": line, "column": column})
            assert Cursors(document).places(made) == {"anchor": place, "head": place}
    before = len(said.partition("a")[0].encode("utf-16-le")) // 2
    behind_and_before = [Position((5, 0), -1), Position((5, 0), 0)]
    assert indexes_of(document, "content", behind_and_before) == [before + 1, before]
