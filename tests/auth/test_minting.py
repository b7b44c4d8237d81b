"""What is minted is what is verified."""

import jwt

from auth.grants import Role
from auth.keys import secret_key
from auth.minting import TokenMinter
from auth.principals import Agent, Budget, Principal
from tests.auth.signing import NOW, SECRET, verifier

MINTER = TokenMinter(SECRET, "costudio", "costudio")


async def test_everything_that_is_put_in_comes_out() -> None:
    minter = TokenMinter(SECRET, "costudio", "costudio", kid="2026")
    token = minter.mint(
        "alice",
        grants={"chat:7": Role.COMMENTER},
        now_seconds=NOW + 0.25,
        ttl_seconds=60,
        name="Alice",
        color="#abc",
        avatar="https://a.example/a.png",
        agent=Agent("fixer", "7", "bob", Budget(1000, documents=3)),
        token_id="t1",
    )
    assert await verifier(secret_key(SECRET, "2026")).verify(token, now_seconds=NOW + 0.25) == Principal(
        "costudio",
        "alice",
        "Alice",
        NOW + 60.25,
        {"chat:7": Role.COMMENTER},
        NOW + 0.25,
        "t1",
        "#abc",
        "https://a.example/a.png",
        Agent("fixer", "7", "bob", Budget(1000, documents=3)),
    )


async def test_what_is_left_out_is_not_said() -> None:
    token = MINTER.mint("alice", grants=None, now_seconds=NOW, ttl_seconds=60)
    said = jwt.decode(token, options={"verify_signature": False})
    assert said.keys() == {"iss", "aud", "sub", "iat", "exp", "jti"}
    assert (await verifier().verify(token, now_seconds=NOW)).grants is None


async def test_no_grants_at_all_are_not_the_same_as_none_said() -> None:
    token = MINTER.mint("alice", grants={}, now_seconds=NOW, ttl_seconds=60)
    assert (await verifier().verify(token, now_seconds=NOW)).grants == {}


async def test_every_token_has_an_id_of_its_own() -> None:
    principals = [
        await verifier().verify(MINTER.mint("a", grants={}, now_seconds=NOW, ttl_seconds=9), now_seconds=NOW)
        for _ in range(2)
    ]
    assert len({principal.token_id for principal in principals} - {None}) == 2


def test_a_minter_shows_no_secret() -> None:
    assert SECRET not in repr(MINTER)
