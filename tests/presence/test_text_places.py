"""Lines and columns, in UTF-16 and in code points, are the same place as an index."""

import random

import pytest

from server.presence.text_places import TextPlace, TextPlaces, WantedPlace, read_place

TEXT = "a🦄b\n\né🦄🦄\r\nend"


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("text", [TEXT, "", "\n", "plain\ntext\n"])
def test_every_index_has_its_place_and_every_place_its_index(text: str) -> None:
    places = TextPlaces(text)
    assert places.length == units(text)
    for at in range(len(text) + 1):
        before = text[:at]
        line = before.rpartition("\n")[2]
        place = TextPlace(before.count("\n"), units(line), len(line))
        assert places.at(units(before)) == place
        assert places.index(WantedPlace(place.line, place.column, 0)) == units(before)
        assert places.index(WantedPlace(place.line, None, place.code_points)) == units(before)


def test_what_is_beyond_an_end_is_there_and_half_a_pair_is_before_it() -> None:
    places = TextPlaces(TEXT)
    assert places.at(999) == TextPlace(3, 3, 3)
    assert places.at(2) == TextPlace(0, 1, 1)
    assert places.index(WantedPlace(99, 0, 0)) == units(TEXT)
    assert places.index(WantedPlace(0, 99, 0)) == units("a🦄b")
    assert places.index(WantedPlace(0, None, 99)) == units("a🦄b")
    assert places.index(WantedPlace(0, 2, 0)) == 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        [],
        {},
        {"column": 1},
        {"line": -1},
        {"line": "1"},
        {"line": True},
        {"line": 1, "column": 2**40},
    ],
)
def test_what_is_no_place_is_none(value: object) -> None:
    assert read_place(value) is None


def test_a_place_may_be_said_in_units_or_in_code_points() -> None:
    assert read_place({"line": 1}) == WantedPlace(1, 0, 0)
    assert read_place({"line": 1, "column": 2, "code_points": 1}) == WantedPlace(1, 2, 1)
    assert read_place({"line": 1, "code_points": 5, "color": "red"}) == WantedPlace(1, None, 5)


def test_random_texts_agree_with_counting() -> None:
    dice = random.Random(3)
    for _ in range(200):
        text = "".join(dice.choices("ab\n🦄é", k=dice.randrange(30)))
        at = dice.randrange(len(text) + 1)
        place = TextPlaces(text).at(units(text[:at]))
        assert place.line == text[:at].count("\n")
        assert place.code_points == at - (text.rfind("\n", 0, at) + 1)
