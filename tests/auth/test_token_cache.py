"""A token that was verified is not verified again; what can change since is looked at each time."""

import jwt
import pytest

from auth.jwks import Jwks
from auth.verifying import InvalidToken
from tests.auth.signing import LEEWAY_SECONDS, NOW, SECRET, jwk, jwks, private_key, sign, verifier


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were looked at."""
    tokens: list[str] = []
    decode = jwt.decode

    def counting(token: str, *arguments: object, **options: object) -> object:
        tokens.append(token)
        return decode(token, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(jwt, "decode", counting)
    return tokens


async def test_the_same_token_again_costs_no_signature(decoded: list[str]) -> None:
    checks = verifier()
    first = await checks.verify(sign(), now_seconds=NOW)
    assert await checks.verify(sign(), now_seconds=NOW + 1) is first
    assert len(decoded) == 1


async def test_a_remembered_token_expires_and_is_too_early_all_the_same() -> None:
    checks, token = verifier(), sign(nbf=NOW, exp=NOW + 10)
    await checks.verify(token, now_seconds=NOW)
    for moment in (NOW + 10 + LEEWAY_SECONDS, NOW - LEEWAY_SECONDS - 1):
        with pytest.raises(InvalidToken):
            await checks.verify(token, now_seconds=moment)
    assert (await checks.verify(token, now_seconds=NOW)).subject == "alice"


async def test_only_those_used_last_are_remembered(decoded: list[str]) -> None:
    checks = verifier(cache_size=2)
    one, two, three = (sign(sub=name) for name in ("one", "two", "three"))
    for token in (one, two, one, three, one, three, two):
        await checks.verify(token, now_seconds=NOW)
    assert decoded == [one, two, three, two]


async def test_refusals_are_not_remembered(decoded: list[str]) -> None:
    checks = verifier(cache_size=1)
    good, bad, late = sign(), sign("another secret, just as long as ours"), sign(exp=NOW - 100)
    await checks.verify(good, now_seconds=NOW)
    for _ in range(2):
        for token in (bad, late):
            with pytest.raises(InvalidToken):
                await checks.verify(token, now_seconds=NOW)
    await checks.verify(good, now_seconds=NOW)
    assert decoded == [good, bad, late, bad, late]


@pytest.mark.parametrize("replacement", [jwk("ES256", 2, kid="new"), jwk("ES256", 2, kid="going")])
async def test_a_token_falls_with_its_published_key_and_others_stand(replacement: dict[str, object]) -> None:
    published = [jwk("ES256", 0, kid="going"), jwk("ES256", 1, kid="staying")]

    async def fetch() -> bytes:
        return jwks(*published)

    checks = verifier(jwks=Jwks(fetch, max_age_seconds=60, min_refresh_seconds=10))
    going, staying = (
        sign(private_key("ES256", number), "ES256", {"kid": kid})
        for number, kid in enumerate(("going", "staying"))
    )
    for token in (going, staying, sign(SECRET)):
        await checks.verify(token, now_seconds=NOW)
    published[0] = replacement
    await checks.verify(going, now_seconds=NOW + 59)
    for token in (staying, sign(SECRET)):
        await checks.verify(token, now_seconds=NOW + 60)
    with pytest.raises(InvalidToken, match="no key"):
        await checks.verify(going, now_seconds=NOW + 60)
