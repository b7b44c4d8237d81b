"""Roles, and what each of them may do in a room. The one place where permission is decided.

docs/permissions.md is tested against `ALLOWED`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Role(IntEnum):
    """Ordered: each role may do what the ones below it may."""

    NONE = 0
    VIEWER = 1
    COMMENTER = 2
    EDITOR = 3
    ADMIN = 4

    @classmethod
    def parse(cls, name: str) -> "Role":
        """Raises ValueError, naming the roles there are."""
        try:
            return cls[name.upper()]
        except KeyError:
            known = ", ".join(role.name.lower() for role in cls)
            raise ValueError(f"no role {name!r}; there are {known}") from None


class Action(StrEnum):
    """What somebody does to a room, or in it."""

    READ = "read"
    SHOW_PRESENCE = "see and show presence"
    WRITE_MESSAGE = "write a message"
    WRITE = "write a file"
    LOCK = "lock a file"
    FORCE_UNLOCK = "end somebody else's lock"
    REPLACE = "replace, restore or delete the document"
    ADMINISTER = "administer: members, names, deletion"


ALLOWED: Mapping[Action, Role] = {
    Action.READ: Role.VIEWER,
    Action.SHOW_PRESENCE: Role.VIEWER,
    Action.WRITE_MESSAGE: Role.COMMENTER,
    Action.WRITE: Role.EDITOR,
    Action.LOCK: Role.EDITOR,
    Action.FORCE_UNLOCK: Role.ADMIN,
    Action.REPLACE: Role.ADMIN,
    Action.ADMINISTER: Role.ADMIN,
}
"""The lowest role that may."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one connection may do in one room."""

    role: Role

    def allows(self, action: Action) -> bool:
        """Whether the role reaches the action's."""
        return self.role >= ALLOWED[action]


def granted_role(grants: Mapping[str, Role], names: tuple[str, ...]) -> Role:
    """The highest role that any pattern gives for a room known by these names; NONE if none matches.

    A pattern is a room name in which `*` stands for anything, `/` included.
    """
    return max(
        (role for pattern, role in grants.items() if any(_matches(pattern, name) for name in names)),
        default=Role.NONE,
    )


def _matches(pattern: str, name: str) -> bool:
    """Linear in both: a regular expression would try every way to share a name out among the stars."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    *middle, last = rest
    position, end = len(first), len(name) - len(last)
    if position > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in middle:
        found = name.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
