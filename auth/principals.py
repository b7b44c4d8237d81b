"""Who is on the other end, as their token says."""

from collections.abc import Mapping
from dataclasses import dataclass

from auth.grants import Role


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may write in all: in how many documents, how many edits of how many bytes; None: any number."""

    bytes: int | None = None
    edits: int | None = None
    documents: int | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """A program that acts by itself: its name, which run of it, and the subject on whose behalf it runs."""

    name: str
    run: str
    on_behalf_of: str | None = None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified identity: `(issuer, subject)` names the user; `name`, `color` and `avatar` are for people to see.

    `grants`: room patterns and the role for each; None where the token says nothing of rooms. `token_id` is its
    `jti`; `issued_at_seconds` is 0 where the token does not say.
    """

    issuer: str
    subject: str
    name: str
    expires_at_seconds: float
    grants: Mapping[str, Role] | None
    issued_at_seconds: float = 0.0
    token_id: str | None = None
    color: str | None = None
    avatar: str | None = None
    agent: Agent | None = None
