"""Who is on the other end, as their token says."""

from collections.abc import Mapping
from dataclasses import dataclass

from auth.grants import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified identity: `(issuer, subject)` names the user, `name` is for people to read."""

    issuer: str
    subject: str
    name: str
    expires_at_seconds: float
    grants: Mapping[str, Role]
