"""docs/permissions.md has the tables that the code has."""

import re
from pathlib import Path

from auth.grants import ALLOWED
from server.access.surfaces import HTTP, YJS

PAGE = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text()


def rows_after(heading: str) -> list[tuple[str, ...]]:
    """The rows of the first table under a heading, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [tuple(row[2:-2].split(" | ")) for row in re.findall(r"^\| .+ \|$", section, re.MULTILINE)]
    return rows[2:]


def test_every_action_is_a_row_with_its_lowest_role() -> None:
    assert rows_after("Roles") == [(action.value, role.name.lower()) for action, role in ALLOWED.items()]


def test_every_message_is_a_row_with_what_it_takes() -> None:
    assert rows_after("On the wire") == [(f"`{kind}`", str(surface)) for kind, surface in YJS.items()]


def test_every_route_is_a_row_with_what_it_takes() -> None:
    assert rows_after("Over HTTP") == [
        (f"`{method} {path}`", str(surface)) for (method, path), surface in HTTP.items()
    ]
