"""JSON Web Tokens out (PyJWT)."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import jwt

from auth.grants import Role
from auth.keys import SYMMETRIC_ALGORITHM
from auth.principals import Agent


@dataclass(frozen=True, slots=True)
class TokenMinter:
    """Signs with one shared secret, which verifiers know as `kid`, or without a name."""

    secret: str = field(repr=False)
    issuer: str
    audience: str
    kid: str | None = None

    def mint(
        self,
        subject: str,
        *,
        grants: Mapping[str, Role] | None,
        now_seconds: float,
        ttl_seconds: float,
        name: str | None = None,
        color: str | None = None,
        avatar: str | None = None,
        agent: Agent | None = None,
        token_id: str | None = None,
    ) -> str:
        """A signed token for `subject`, valid from now on for `ttl_seconds`; verifiers check what is put in.

        `grants` None leaves the claim out. `token_id` is random where none is given.
        """
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "iat": now_seconds,  # with fractions: a revocation may come within the same second
            "exp": now_seconds + ttl_seconds,
            "jti": token_id or uuid.uuid4().hex,
            "name": name,
            "color": color,
            "avatar": avatar,
            "grants": None if grants is None else {room: role.name.lower() for room, role in grants.items()},
            "agent": None if agent is None else _without_none(asdict(agent)),
        }
        headers = None if self.kid is None else {"kid": self.kid}
        return jwt.encode(_without_none(claims), self.secret, algorithm=SYMMETRIC_ALGORITHM, headers=headers)


def _without_none(claims: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in claims.items() if value is not None}
