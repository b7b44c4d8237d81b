"""Which keys sign and verify, as the settings say."""

import json
import os
import time
from pathlib import Path

import pytest

from auth.grants import Role
from auth.minting import TokenMinter
from auth.verifying import InvalidToken, TokenVerifier
from server.settings import Settings, SettingsError
from server.token_settings import token_minter, token_verifier
from tests.auth.signing import NOW, pem, private_key, sign

FIRST, SECOND, UNNAMED = ("a secret of 32 bytes or more " + name for name in ("first", "second", "unnamed"))


def settings(tmp_path: Path, **options: object) -> Settings:
    return Settings(data_dir=tmp_path, **options)  # type: ignore[arg-type]


async def is_verified(verifier: TokenVerifier, minter: TokenMinter) -> bool:
    token = minter.mint("alice", grants={"*": Role.VIEWER}, now_seconds=time.time(), ttl_seconds=60)
    try:
        await verifier.verify(token, now_seconds=time.time())
    except InvalidToken:
        return False
    return True


async def test_the_first_named_secret_signs_and_all_of_them_verify(tmp_path: Path) -> None:
    both = settings(tmp_path, jwt_secret=UNNAMED, jwt_secrets={"new": FIRST, "old": SECOND})
    assert (token_minter(both).kid, token_minter(both).secret) == ("new", FIRST)
    unnamed = token_minter(settings(tmp_path, jwt_secret=UNNAMED))
    minters = [token_minter(both), token_minter(both, "old"), unnamed]
    assert [await is_verified(token_verifier(both), minter) for minter in minters] == [True] * 3
    named_alone = token_verifier(settings(tmp_path, jwt_secrets={"new": FIRST}))
    assert [await is_verified(named_alone, minter) for minter in minters] == [True, False, False]


async def test_a_public_key_needs_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem("EdDSA"))
    another = settings(tmp_path, jwt_public_key_file=file)
    principal = await token_verifier(another).verify(sign(private_key("EdDSA"), "EdDSA"), now_seconds=NOW)
    assert principal.subject == "alice"
    with pytest.raises(SettingsError, match="COSTUDIO_JWT_SECRET "):
        token_minter(another)
    assert os.listdir(tmp_path) == ["key.pem"]


async def test_development_tokens_serve_beside_another_issuers_keys(tmp_path: Path) -> None:
    development = settings(tmp_path, dev=True, jwt_jwks_url="https://issuer.example/keys")
    assert await is_verified(token_verifier(development), token_minter(development))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "COSTUDIO_JWT_SECRET is not set"),
        ({"jwt_secret": pem("ES256").decode()}, "COSTUDIO_JWT_SECRET: .* not a secret"),
        ({"jwt_secrets": {"2026": "short"}}, "COSTUDIO_JWT_SECRETS, '2026': .* 32 bytes"),
        ({"jwt_secrets": {"": FIRST}}, "COSTUDIO_JWT_SECRETS, '': .* kid"),
        ({"jwt_public_key_file": Path("/nowhere/key.pem")}, "COSTUDIO_JWT_PUBLIC_KEY_FILE: No such file"),
        ({"jwt_public_key_file": Path(__file__)}, "COSTUDIO_JWT_PUBLIC_KEY_FILE: "),
        ({"jwt_jwks_url": "http://issuer.example/keys"}, "COSTUDIO_JWT_JWKS_URL: .* https"),
    ],
)
def test_keys_that_must_not_be_used_are_named_by_their_setting(
    tmp_path: Path, options: dict[str, object], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        token_verifier(settings(tmp_path, **options))


@pytest.mark.parametrize(
    ("options", "kid", "named"),
    [
        ({"jwt_secrets": {"2026": "short"}}, None, "COSTUDIO_JWT_SECRETS, '2026'"),
        ({"jwt_secrets": {"2026": FIRST}}, "2025", "COSTUDIO_JWT_SECRETS has no"),
        ({"jwt_secret": UNNAMED}, "2025", "COSTUDIO_JWT_SECRETS has no"),
        ({}, None, "COSTUDIO_JWT_SECRET is not set"),
    ],
)
def test_nothing_is_signed_with_what_would_not_verify(
    tmp_path: Path, options: dict[str, object], kid: str | None, named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        token_minter(settings(tmp_path, **options), kid)


def test_named_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTUDIO_JWT_SECRETS", json.dumps({"new": FIRST, "old": SECOND}))
    assert token_minter(settings(tmp_path)).kid == "new"
    assert FIRST not in repr(settings(tmp_path))
