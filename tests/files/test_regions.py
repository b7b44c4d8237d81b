"""A part of a text is found again, whatever was written around it, in it and by whom."""

from hypothesis import given
from hypothesis import strategies as st

from server.engine.document import Document
from server.engine.text_edits import write_edits
from server.files.edits import Edit, apply_edits
from server.files.offsets import to_utf8
from server.files.regions import find, regions_of
from server.files.version import Version
from server.files.versions import ROOT, FileState

pieces = st.text(st.sampled_from("ab\n📊日\u0301"), min_size=1, max_size=6)


def state_of(updates: list[bytes]) -> FileState:
    return FileState.of(Version(1, 1), Document.load(updates))


def typed(*parts: str) -> FileState:
    """A text of several pieces, each by another client."""
    state, updates, length = FileState(Version(1, 0), (), b"", ""), list[bytes](), 0
    for number, part in enumerate(parts):
        updates.append(write_edits(state.content, ROOT, [(length, length, part)], 100 + number))
        length += len(part.encode())
        state = state_of(updates)
    return state


def edit(state: FileState, client_id: int, *edits: Edit) -> bytes:
    places = to_utf8(state.text, [place for each in edits for place in each[:2]])
    in_bytes = [(places[2 * at], places[2 * at + 1], each.text) for at, each in enumerate(edits)]
    return write_edits(state.content, ROOT, in_bytes, client_id)


@given(st.lists(pieces, min_size=3, max_size=5), st.data())
def test_a_region_says_what_it_said_while_others_write_elsewhere(
    parts: list[str], data: st.DataObject
) -> None:
    state = typed(*parts)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(state.text))] * 2)))
    (region,) = regions_of(state, [(start, end)])
    edits = [Edit(0, max(start - 1, 0), "before 📊")] if start > 1 else []
    if end + 1 < len(state.text):
        edits.append(Edit(end + 1, len(state.text), "日 behind"))
    more = [edit(state, 7, *edits)] if edits else []
    [found] = find(state, more, [region])
    assert found.text == apply_edits(state.text, edits)
    assert found.said == state.text[start:end]


@given(st.lists(pieces, min_size=3, max_size=5), st.data())
def test_what_two_write_at_its_ends_and_in_it_is_part_of_it(parts: list[str], data: st.DataObject) -> None:
    state = typed(*parts)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(state.text))] * 2)))
    (region,) = regions_of(state, [(start, end)])
    one = edit(state, 7, Edit(start, end, "<one 📊>"))
    other = edit(state, 8, *([Edit(start, start, "<")] if start < end else []), Edit(end, end, "other>"))
    [found] = find(state, [one, other], [region])
    assert found.text.startswith(state.text[:start])
    assert found.said == found.text[start : len(found.text) - len(state.text) + end]
    assert "<one 📊>" in found.said
    assert "other>" in found.said
