"""What the engine writes when a text is edited from outside, counted in bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from server.engine.document import EngineFailure
from server.engine.text_edits import ByteEdit, write_edits

characters = st.text(st.sampled_from("ab\n📊日\u0301"), max_size=8)


def document_of(*parts: str | dict[str, int]) -> Doc[Text]:
    """Texts and embeds, one after another, each typed at the end."""
    doc: Doc[Text] = Doc(client_id=1)
    text = doc.get("content", type=Text)
    for part in parts:
        if isinstance(part, str):
            text += part
        else:
            text.insert_embed(len(text), part)
    return doc


def edited(doc: Doc[Text], *edits: ByteEdit) -> Text:
    """The text after the edits came as an update."""
    whole = doc.get_update()
    update = write_edits([whole], "content", edits, 7)
    replica: Doc[Text] = Doc()
    text = replica.get("content", type=Text)
    replica.apply_update(whole)
    replica.apply_update(update)
    return text


@given(st.lists(characters, min_size=1, max_size=4), st.data())
def test_edits_change_what_they_name(parts: list[str], data: st.DataObject) -> None:
    old = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(old)), min_size=4, max_size=4)))
    new = data.draw(st.tuples(characters, characters))
    (a, b, c, d), expected = cuts, old[: cuts[0]] + new[0] + old[cuts[1] : cuts[2]] + new[1] + old[cuts[3] :]
    a, b, c, d = (len(old[:place].encode()) for place in (a, b, c, d))
    edits = [edit for edit in ((a, b, new[0]), (c, d, new[1])) if edit[2] or edit[0] < edit[1]]
    if edits:
        assert str(edited(document_of(*parts), *edits)) == expected


def test_embeds_are_not_counted_and_stay() -> None:
    doc = document_of({"x": 1}, "a📊", {"x": 2}, "bc")
    text = edited(doc, (0, 1, "A"), (1, 6, "Z"), (7, 7, "!"))
    assert [value for value, _ in text.diff()] == ["A", {"x": 1.0}, "Z", {"x": 2.0}, "c!"]


def test_the_update_is_the_change_alone() -> None:
    doc = document_of("x" * 10_000)
    del doc.get("content", type=Text)[5:6]
    assert len(write_edits([doc.get_update()], "content", [(3, 4, "y")], 7)) < 50


def test_the_same_edits_of_the_same_text_are_the_same_update() -> None:
    whole = document_of("one", "two").get_update()
    edits = [(1, 4, "x")]
    assert write_edits([whole], "content", edits, 7) == write_edits([whole], "content", edits, 7)


def test_places_that_are_not_there_are_a_failure_of_the_engine() -> None:
    with pytest.raises(EngineFailure):
        write_edits([document_of("abc").get_update()], "content", [(5, 6, "")], 7)
