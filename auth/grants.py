"""Roles, and what each of them may do in a room. The one place where permission is decided.

docs/permissions.md is tested against `ALLOWED`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache


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
    """What somebody does to a room."""

    READ = "read"
    SHOW_PRESENCE = "show presence"
    WRITE = "write"
    REPLACE = "replace or delete the document"


ALLOWED: Mapping[Action, Role] = {
    Action.READ: Role.VIEWER,
    Action.SHOW_PRESENCE: Role.VIEWER,
    Action.WRITE: Role.EDITOR,
    Action.REPLACE: Role.ADMIN,
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
        (
            role
            for pattern, role in grants.items()
            if any(_matcher(pattern).fullmatch(name) for name in names)
        ),
        default=Role.NONE,
    )


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
