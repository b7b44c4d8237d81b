"""Roles, and which of them a token's patterns give."""

import pytest

from auth.grants import Action, Grant, Role, granted_role


@pytest.mark.parametrize(
    ("grants", "role"),
    [
        ({}, Role.NONE),
        ({"*": Role.VIEWER}, Role.VIEWER),
        ({"workspace:1/*": Role.EDITOR}, Role.EDITOR),
        ({"notes/*": Role.ADMIN}, Role.ADMIN),
        ({"*": Role.VIEWER, "workspace:1/notes/*": Role.EDITOR}, Role.EDITOR),
        ({"workspace:2/*": Role.EDITOR, "chat:*": Role.EDITOR}, Role.NONE),
        ({"workspace:1": Role.EDITOR}, Role.NONE),
        ({"WORKSPACE:1/*": Role.EDITOR}, Role.NONE),
    ],
)
def test_the_highest_role_that_a_pattern_gives_counts(grants: dict[str, Role], role: Role) -> None:
    assert granted_role(grants, ("workspace:1/notes/a.md", "notes/a.md")) == role


def test_only_editors_write_and_nobody_without_a_role_reads() -> None:
    assert [role for role in Role if Grant(role).allows(Action.WRITE)] == [Role.EDITOR, Role.ADMIN]
    assert [role for role in Role if not Grant(role).allows(Action.READ)] == [Role.NONE]


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(ValueError, match="no role 'god'"):
        Role.parse("god")


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    name = "workspace:1/" + "a" * 512
    assert granted_role({"*a" * 300 + "*b": Role.ADMIN}, (name,)) is Role.NONE
    assert granted_role({"*a" * 300 + "*": Role.ADMIN}, (name,)) is Role.ADMIN


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*b*", "abc", True),
        ("a*b*c", "a-c-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a**", "a", True),
        ("", "a", False),
    ],
)
def test_stars_stand_for_anything_once(pattern: str, name: str, matches: bool) -> None:
    assert (granted_role({pattern: Role.VIEWER}, (name,)) is Role.VIEWER) == matches
