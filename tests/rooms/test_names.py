"""Room names have one canonical form, and nothing else gets in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.rooms.names import BadRoomName, RoomKind, parse_room_name


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("chat:7", RoomKind.CHAT, 7),
        ("project:12", RoomKind.PROJECT, 12),
        ("workspace:3", RoomKind.WORKSPACE, 3),
        ("workspace:3/a/b.md", RoomKind.FILE, 3),
        ("workspace:3/глава 1", RoomKind.FILE, 3),
        ("global", RoomKind.GLOBAL, 0),
    ],
)
def test_every_kind_is_read(text: str, kind: RoomKind, number: int) -> None:
    name = parse_room_name(text, plain_names_workspace_id=None)
    assert (name.kind, name.id, name.canonical) == (kind, number, text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "chat:", "chat:0", "chat:01", "chat:-1", "chat:1/x", "plain", "global:1"),
        *("workspace:1/", "workspace:1//a", "workspace:1/a/", "workspace:1/../a", "workspace:1/" + "x" * 513),
        *("workspace:1/a\x00b", "workspace:1/a\u202eb"),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadRoomName):
        parse_room_name(text, plain_names_workspace_id=None)


def test_plain_names_are_files_where_a_workspace_is_given() -> None:
    plain = parse_room_name("notes/день 1", plain_names_workspace_id=4)
    assert plain == parse_room_name("workspace:4/notes/день 1", plain_names_workspace_id=4)
    assert plain.aliases == ("workspace:4/notes/день 1", "notes/день 1")


def test_composed_and_decomposed_letters_name_the_same_room() -> None:
    composed, decomposed = "workspace:1/\u00e9", "workspace:1/e\u0301"
    names = {parse_room_name(text, plain_names_workspace_id=None) for text in (composed, decomposed)}
    assert len(names) == 1


@given(st.text())
def test_a_canonical_name_parses_to_itself(text: str) -> None:
    try:
        name = parse_room_name(text, plain_names_workspace_id=1)
    except BadRoomName:
        return
    assert parse_room_name(name.canonical, plain_names_workspace_id=1) == name
