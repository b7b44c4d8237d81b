"""JSON Web Tokens in and out (PyJWT, HS256): who somebody is and which rooms they may use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from auth.grants import Role
from auth.principals import Principal

_ALGORITHM = "HS256"
MAX_TOKEN_BYTES = 8192
MAX_NAME_CHARACTERS = 128
_SURROGATE = re.compile("[\ud800-\udfff]")
_REQUIRED = ["exp", "sub", "aud", "iss"]
# PyJWT reads the wall clock itself for these; here the caller's clock decides.
_DECODE_OPTIONS: Any = {"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False}


class InvalidToken(Exception):
    """A token that proves nothing; the message may be shown to whoever sent it."""


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """One HS256 secret with the issuer and audience that go with it: signs and verifies.

    `default_role` is what a token without `grants` gives everywhere.
    """

    secret: str
    issuer: str
    audience: str
    leeway_seconds: float
    default_role: Role

    def mint(
        self, subject: str, *, grants: Mapping[str, Role], now_seconds: float, ttl_seconds: float
    ) -> str:
        """A signed token for `subject`, valid from now on for `ttl_seconds`."""
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "name": subject,
            "iat": int(now_seconds),
            "exp": int(now_seconds + ttl_seconds),
            "grants": {pattern: role.name.lower() for pattern, role in grants.items()},
        }
        return jwt.encode(claims, self.secret, algorithm=_ALGORITHM)

    def verify(self, token: str, *, now_seconds: float) -> Principal:
        """The identity a token proves. Raises InvalidToken, saying which check failed and nothing secret."""
        if not token:
            raise InvalidToken("token missing")
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken(f"token over {MAX_TOKEN_BYTES} bytes")
        try:
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=[_ALGORITHM],
                audience=self.audience,
                issuer=self.issuer,
                options=_DECODE_OPTIONS,
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(f"token refused: {error}") from error
        return self._principal(claims, now_seconds)

    def _principal(self, claims: dict[str, Any], now_seconds: float) -> Principal:
        expires_at_seconds = _time_claim(claims, "exp")
        if now_seconds >= expires_at_seconds + self.leeway_seconds:
            raise InvalidToken("token refused: it has expired")
        if "nbf" in claims and now_seconds < _time_claim(claims, "nbf") - self.leeway_seconds:
            raise InvalidToken("token refused: it is not valid yet")
        subject = claims["sub"]
        if not subject or not _is_storable(subject):
            raise InvalidToken(f"token refused: sub must have 1 to {MAX_NAME_CHARACTERS} characters, no NUL")
        name = claims.get("name", subject)
        if not isinstance(name, str) or not _is_storable(name):
            raise InvalidToken(
                f"token refused: name must be text of at most {MAX_NAME_CHARACTERS} characters, no NUL"
            )
        return Principal(self.issuer, subject, name or subject, expires_at_seconds, self._grants(claims))

    def _grants(self, claims: dict[str, Any]) -> Mapping[str, Role]:
        grants = claims.get("grants")
        if grants is None:
            return {"*": self.default_role}
        try:
            return {pattern: Role.parse(role) for pattern, role in grants.items()}
        except (AttributeError, ValueError) as error:
            raise InvalidToken("token refused: grants must map room patterns to roles") from error


def _is_storable(text: str) -> bool:
    """PostgreSQL takes no NUL in a text, and no database half a surrogate pair, which JSON can spell."""
    return len(text) <= MAX_NAME_CHARACTERS and "\0" not in text and not _SURROGATE.search(text)


def _time_claim(claims: dict[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(f"token refused: {name} must be a number")
    return float(value)
