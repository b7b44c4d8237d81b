"""Tokens name people in a way that every database can keep."""

import jwt
import pytest

from auth.grants import Role
from auth.tokens import InvalidToken, TokenIssuer

SECRET = "a secret for tests, long enough to sign with"
ISSUER = TokenIssuer(
    secret=SECRET, issuer="costudio", audience="costudio", leeway_seconds=0, default_role=Role.EDITOR
)


def token(**claims: object) -> str:
    whole = {"iss": "costudio", "aud": "costudio", "sub": "alice", "iat": 0, "exp": 100, **claims}
    return jwt.encode(whole, SECRET)


def test_names_may_be_anything_that_people_are_called() -> None:
    principal = ISSUER.verify(token(sub="ålice 文 😀", name="Ålice"), now_seconds=1)
    assert (principal.subject, principal.name) == ("ålice 文 😀", "Ålice")


@pytest.mark.parametrize("text", ["a\0b", "half \ud83d a pair", "x" * 129])
@pytest.mark.parametrize("claim", ["sub", "name"])
def test_names_that_no_database_can_keep_are_refused(claim: str, text: str) -> None:
    with pytest.raises(InvalidToken, match=claim):
        ISSUER.verify(token(**{claim: text}), now_seconds=1)
