"""Places, edits and differences of texts, with characters of all lengths."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.files.edits import BadEdits, Edit, apply_edits, edits_of, joined
from server.files.line_changes import LineRange, both_touch, line_changes, touched
from server.files.offsets import BadOffset, Lines, Unit, to_code_points, to_utf8
from server.files.text_diff import MAX_EDITS, diff, split_lines

texts = st.text(st.sampled_from("ab \n\r📊日\u0301\ufeff\0"), max_size=60)


@given(texts)
def test_places_are_the_same_in_every_unit(text: str) -> None:
    places = list(range(len(text) + 1))
    in_utf16 = [len(text[:place].encode("utf-16-le")) // 2 for place in places]
    assert to_code_points(text, in_utf16, Unit.UTF16) == places
    assert to_code_points(text, places, Unit.CODEPOINT) == places
    assert [text.encode()[:end].decode() for end in to_utf8(text, places)] == [text[:end] for end in places]


def test_an_offset_inside_a_surrogate_pair_is_no_place() -> None:
    assert to_code_points("a📊b", [1, 3, 4], Unit.UTF16) == [1, 2, 3]
    with pytest.raises(BadOffset, match="surrogate pair"):
        to_code_points("a📊b", [1, 2], Unit.UTF16)
    with pytest.raises(BadOffset, match="beyond"):
        to_code_points("a📊b", [5], Unit.UTF16)
    with pytest.raises(BadOffset, match="beyond"):
        to_code_points("a📊b", [4], Unit.CODEPOINT)


@given(texts)
def test_a_place_is_in_the_line_that_has_as_many_before_it(text: str) -> None:
    lines = Lines(text)
    assert len(lines) == text.count("\n") + 1
    for place in range(len(text) + 1):
        line = lines.line_of(place)
        assert text[:place].count("\n") == line
        start, end = lines.span(line, line + 1)
        assert start <= place <= end


@given(texts, texts)
def test_a_difference_makes_the_new_text_of_the_old_one(old: str, new: str) -> None:
    edits = diff(old, new)
    assert apply_edits(old, edits) == new
    assert all(before.end <= after.start for before, after in pairwise(edits))
    assert all(edit.text or edit.start < edit.end for edit in edits)


@given(st.lists(st.sampled_from("abcdefg"), max_size=40), st.data())
def test_lines_that_stay_are_not_touched(words: list[str], data: st.DataObject) -> None:
    old = "".join(f"{number} {word}\n" for number, word in enumerate(words))
    lines = split_lines(old)
    changed = data.draw(st.sets(st.integers(0, len(lines) - 1))) if lines else set()
    new = "".join(f"!{line}" if number in changed else line for number, line in enumerate(lines))
    assert {line for start, end in touched(old, diff(old, new)) for line in range(start, end)} == changed


def test_only_what_differs_within_a_line_is_replaced() -> None:
    old, new = "say(bar, 📊) # 日本\r\n", "say(bart, 📈) # 日本語\r\n"
    assert diff(old, new) == [Edit(7, 7, "t"), Edit(9, 10, "📈"), Edit(16, 16, "語")]


def test_a_change_of_very_many_places_is_made_of_larger_pieces() -> None:
    old = "".join(f"line {number}\n" for number in range(20_000))
    new = old.replace("line", "row")
    edits = diff(old, new)
    assert 1 < len(edits) <= MAX_EDITS
    assert apply_edits(old, edits) == new


def test_texts_of_a_megabyte_without_a_line_in_common_are_compared() -> None:
    old, new = "a\nb\n" * 250_000, "b\na\na\n" * 160_000
    assert apply_edits(old, diff(old, new)) == new


def test_neighbours_are_joined_before_what_is_far_apart() -> None:
    text = "ab" + "." * 100 + "cd"
    edits = [Edit(0, 1, "A"), Edit(1, 2, "B"), Edit(102, 103, "C"), Edit(103, 104, "D")]
    assert joined(text, edits, 2) == [Edit(0, 2, "AB"), Edit(102, 104, "CD")]


def test_edits_may_come_in_any_order_and_keep_theirs_at_one_place() -> None:
    asked = [Edit(4, 5, "x"), Edit(0, 0, "1"), Edit(0, 0, "2"), Edit(3, 3, "")]
    edits = edits_of("a📊bc", asked, Unit.UTF16)
    assert edits == [Edit(0, 0, "1"), Edit(0, 0, "2"), Edit(3, 4, "x")]
    assert apply_edits("a📊bc", edits) == "12a📊bx"


@pytest.mark.parametrize("asked", [[Edit(0, 2, ""), Edit(1, 1, "x")], [Edit(2, 1, "")], [Edit(-1, 0, "")]])
def test_edits_that_overlap_or_end_before_they_begin_are_none(asked: list[Edit]) -> None:
    with pytest.raises(BadEdits):
        edits_of("abc", asked, Unit.CODEPOINT)


def test_what_changes_is_counted_by_lines() -> None:
    changes = line_changes("a\nb\nc\nd\n", "a\nB\nB2\nc\n")
    assert changes == ((LineRange(1, 3), LineRange(4, 4)), 2, 2)
    assert line_changes("", "") == ((), 0, 0)


@pytest.mark.parametrize(
    ("text", "edit", "range_"),
    [
        ("a\nb\n", Edit(2, 2, "new\n"), (1, 1)),
        ("a\nb\n", Edit(2, 2, "new"), (1, 2)),
        ("a\nb\n", Edit(1, 1, "new"), (0, 1)),
        ("a\nb\n", Edit(0, 2, ""), (0, 1)),
        ("a\nb\n", Edit(1, 2, ""), (0, 2)),
        ("a\nb\n", Edit(4, 4, "c\n"), (2, 2)),
        ("a\nb", Edit(3, 3, "\nc"), (1, 2)),
        ("a\r\nb\r\n", Edit(1, 2, ""), (0, 1)),
    ],
)
def test_an_edit_touches_the_lines_that_are_not_as_before(
    text: str, edit: Edit, range_: tuple[int, int]
) -> None:
    assert touched(text, [edit]) == [LineRange(*range_)]


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        ([(0, 1)], [(1, 2)], []),
        ([(0, 2)], [(1, 3)], [(0, 3)]),
        ([(1, 1)], [(1, 1)], [(1, 1)]),
        ([(1, 1)], [(1, 2)], []),
        ([(1, 2)], [(2, 2)], []),
        ([(0, 3)], [(1, 1)], [(0, 3)]),
        ([(0, 2), (3, 5)], [(1, 4)], [(0, 5)]),
        ([(0, 1), (4, 5)], [(0, 1), (2, 3)], [(0, 1)]),
    ],
)
def test_two_changes_meet_where_both_touch_a_line(
    ours: list[tuple[int, int]], theirs: list[tuple[int, int]], both: list[tuple[int, int]]
) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        found = both_touch([LineRange(*each) for each in one], [LineRange(*each) for each in other])
        assert found == [LineRange(*each) for each in both]
