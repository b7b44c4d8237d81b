"""The rule by which memberships and grants make a role."""

from collections.abc import Mapping

import pytest

from auth.grants import Role
from server.access.roles import Place, RolePolicy, effective_role, role_to_give, scopes_of
from tests.access.doors import room

NONE, VIEWER, COMMENTER, EDITOR, ADMIN = Role
FILE, OUTSIDE, IN_PROJECT = "workspace:3/a.md", Place(None), Place(7)
USUAL = RolePolicy(EDITOR)


@pytest.mark.parametrize(
    ("name", "project_id", "scopes"),
    [
        (FILE, 7, (FILE, "workspace:3", "project:7")),
        (FILE, None, (FILE, "workspace:3")),
        ("workspace:3", 7, ("workspace:3", "project:7")),
        ("chat:9", 7, ("chat:9", "project:7")),
        ("project:7", 7, ("project:7",)),
        ("global", None, ("global",)),
    ],
)
def test_the_nearest_scope_comes_first(name: str, project_id: int | None, scopes: tuple[str, ...]) -> None:
    assert scopes_of(room(name), project_id) == scopes


@pytest.mark.parametrize(
    ("name", "memberships", "role"),
    [
        (FILE, {}, NONE),
        (FILE, {"project:8": ADMIN, "workspace:33": ADMIN, "workspace:3/b.md": ADMIN}, NONE),
        (FILE, {"global": ADMIN}, NONE),
        (FILE, {"project:7": EDITOR}, EDITOR),
        (FILE, {"project:7": EDITOR, "workspace:3": VIEWER}, VIEWER),
        (FILE, {"project:7": VIEWER, "workspace:3": ADMIN}, ADMIN),
        (FILE, {"project:7": ADMIN, "workspace:3": ADMIN, FILE: NONE}, NONE),
        ("workspace:3", {"project:7": EDITOR, FILE: ADMIN}, EDITOR),
        ("chat:9", {"project:7": EDITOR, "chat:9": COMMENTER}, COMMENTER),
        ("project:7", {"project:7": ADMIN, "workspace:3": NONE}, ADMIN),
    ],
)
def test_in_a_project_the_nearest_membership_decides(
    name: str, memberships: Mapping[str, int], role: Role
) -> None:
    assert effective_role(room(name), IN_PROJECT, memberships, None, USUAL) is role


@pytest.mark.parametrize("member", Role)
@pytest.mark.parametrize("granted", Role)
def test_in_a_project_a_grant_limits_a_membership_and_gives_none(member: Role, granted: Role) -> None:
    grants = {"workspace:3/*": granted}
    role = effective_role(room(FILE), IN_PROJECT, {"project:7": member}, grants, USUAL)
    assert role is min(member, granted)


@pytest.mark.parametrize(
    ("name", "place", "memberships", "grants", "role"),
    [
        (FILE, OUTSIDE, {}, None, EDITOR),
        (FILE, OUTSIDE, {"workspace:3": ADMIN}, None, EDITOR),
        (FILE, OUTSIDE, {"workspace:3": VIEWER}, {"*": ADMIN}, ADMIN),
        (FILE, OUTSIDE, {}, {}, NONE),
        (FILE, OUTSIDE, {}, {"chat:*": ADMIN}, NONE),
        ("global", OUTSIDE, {}, None, VIEWER),
        ("global", OUTSIDE, {"global": ADMIN}, None, ADMIN),
        ("global", OUTSIDE, {"global": NONE}, None, NONE),
        ("global", OUTSIDE, {"global": ADMIN}, {"*": ADMIN}, VIEWER),
        ("global", OUTSIDE, {}, {"globa*": ADMIN, "**": ADMIN}, VIEWER),
        ("global", OUTSIDE, {}, {"global": ADMIN, "*": EDITOR}, ADMIN),
        ("global", OUTSIDE, {}, {"global": EDITOR}, EDITOR),
        ("global", OUTSIDE, {"global": ADMIN}, {"*": NONE}, NONE),
        (FILE, Place(7, is_deleted=True), {"project:7": ADMIN}, {"*": ADMIN}, NONE),
    ],
)
def test_where_no_project_is_the_token_decides_and_where_one_was_nobody_does(
    name: str, place: Place, memberships: Mapping[str, int], grants: Mapping[str, Role] | None, role: Role
) -> None:
    assert effective_role(room(name), place, memberships, grants, USUAL) is role


@pytest.mark.parametrize(
    ("place", "grants", "role"),
    [
        (IN_PROJECT, {"*": EDITOR}, EDITOR),
        (IN_PROJECT, {"chat:*": EDITOR}, NONE),
        (IN_PROJECT, None, NONE),
        (OUTSIDE, None, NONE),
        (Place(7, is_deleted=True), {"*": ADMIN}, NONE),
    ],
)
def test_where_grants_are_the_authority_they_alone_count(
    place: Place, grants: Mapping[str, Role] | None, role: Role
) -> None:
    policy = RolePolicy(ADMIN, grants_are_authority=True)
    assert (
        effective_role(room(FILE), place, {"project:7": ADMIN, "workspace:3": NONE}, grants, policy) is role
    )


@pytest.mark.parametrize(("grants", "role"), [({"*": ADMIN}, VIEWER), ({"global": ADMIN}, ADMIN)])
def test_a_star_makes_no_administrator_of_the_server_where_grants_are_the_authority_either(
    grants: Mapping[str, Role], role: Role
) -> None:
    policy = RolePolicy(ADMIN, grants_are_authority=True)
    assert effective_role(room("global"), OUTSIDE, {}, grants, policy) is role


@pytest.mark.parametrize(
    ("name", "grants", "role"),
    [
        ("project:7", {"*": EDITOR}, EDITOR),
        ("project:7", {"**": ADMIN}, ADMIN),
        ("project:7", {"project:7": ADMIN, "project:*": ADMIN, "workspace:*": ADMIN, "*:*": ADMIN}, NONE),
        ("workspace:3", {"*": ADMIN}, ADMIN),
        ("workspace:3", {"workspace:3": ADMIN, "workspace:3/*": EDITOR}, EDITOR),
        ("workspace:3", {"workspace:3*": ADMIN}, ADMIN),
        ("workspace:3", {"workspace:3": ADMIN}, NONE),
        ("workspace:3", {"workspace:3/*": ADMIN}, NONE),
        ("workspace:3", {"workspace:3": ADMIN, "workspace:3/a*": ADMIN, "workspace:3/*.md": ADMIN}, NONE),
        ("chat:9", {"chat:9": COMMENTER}, COMMENTER),
        (FILE, {FILE: EDITOR}, EDITOR),
        (FILE, {}, NONE),
    ],
)
def test_a_token_gives_away_what_it_has_in_all_that_is_below(
    name: str, grants: Mapping[str, Role], role: Role
) -> None:
    assert role_to_give(grants, room(name)) is role
