"""Only a token that the issuer signed, for us, for now, proves anything."""

import hashlib
import hmac
from typing import Any

import pytest

from auth.keys import pem_key, secret_key
from auth.verifying import MAX_TOKEN_BYTES, InvalidToken
from tests.auth.signing import (
    LEEWAY_SECONDS,
    NOW,
    PUBLIC_ALGORITHMS,
    SECRET,
    claims,
    forge,
    jwk,
    pem,
    private_key,
    sign,
    verifier,
)

OLD_SECRET, NEW_SECRET = "the secret of last year, still good", "the secret of this year, also good"


def forge_hmac(secret: bytes, header: dict[str, object]) -> str:
    """Signed with any bytes, also those that a library refuses."""
    unsigned = forge(header, claims()).rpartition(".")[0]
    signature = hmac.digest(secret, unsigned.encode(), hashlib.sha256)
    return unsigned + "." + forge(b"", b"", signature).rpartition(".")[2]


async def test_a_token_signed_with_the_secret_names_its_user() -> None:
    principal = await verifier().verify(sign(jti="t1"), now_seconds=NOW)
    assert (principal.issuer, principal.subject, principal.token_id) == ("costudio", "alice", "t1")
    assert (principal.issued_at_seconds, principal.expires_at_seconds) == (NOW, NOW + 100)


async def test_each_named_secret_signs_under_its_own_name_alone() -> None:
    checks = verifier(secret_key(OLD_SECRET, "old"), secret_key(NEW_SECRET, "new"))
    for kid, secret in (("old", OLD_SECRET), ("new", NEW_SECRET)):
        await checks.verify(sign(secret, header={"kid": kid}), now_seconds=NOW)
    for kid, secret in (("old", NEW_SECRET), ("new", OLD_SECRET), ("newer", NEW_SECRET)):
        with pytest.raises(InvalidToken, match="no key"):
            await checks.verify(sign(secret, header={"kid": kid}), now_seconds=NOW)
    with pytest.raises(InvalidToken, match="no key"):  # it does not say which of them
        await checks.verify(sign(NEW_SECRET), now_seconds=NOW)


async def test_a_token_without_a_kid_is_of_the_unnamed_secret_or_of_the_only_one() -> None:
    both = verifier(secret_key(NEW_SECRET, "new"), secret_key(SECRET))
    only = verifier(secret_key(NEW_SECRET, "new"))
    await both.verify(sign(SECRET), now_seconds=NOW)
    await only.verify(sign(NEW_SECRET), now_seconds=NOW)
    with pytest.raises(InvalidToken):
        await both.verify(sign(NEW_SECRET), now_seconds=NOW)


@pytest.mark.parametrize("header", [{}, {"kid": "whatever the issuer calls it"}])
@pytest.mark.parametrize("algorithm", PUBLIC_ALGORITHMS)
async def test_a_public_key_verifies_what_its_private_key_signed(
    algorithm: str, header: dict[str, str]
) -> None:
    checks = verifier(pem_key(pem(algorithm)), secret_key(SECRET))
    await checks.verify(sign(private_key(algorithm), algorithm, header), now_seconds=NOW)
    with pytest.raises(InvalidToken, match="no key"):
        await checks.verify(sign(private_key(algorithm, 1), algorithm, header), now_seconds=NOW)


@pytest.mark.parametrize("algorithm", PUBLIC_ALGORITHMS)
@pytest.mark.parametrize("header", [{}, {"kid": "main"}])
async def test_a_public_key_is_never_taken_for_a_secret(algorithm: str, header: dict[str, object]) -> None:
    for checks in (
        verifier(pem_key(pem(algorithm))),
        verifier(pem_key(pem(algorithm)), secret_key(SECRET, "main")),
    ):
        for material in (pem(algorithm), pem(algorithm).strip()):
            with pytest.raises(InvalidToken, match="no key"):
                await checks.verify(forge_hmac(material, {"alg": "HS256", **header}), now_seconds=NOW)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "NONE"},
        {"alg": "hs256"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": ["HS256"]},
        {"alg": None},
        {},
        {"alg": "HS256", "crit": ["exp"], "exp": 1},
        {"alg": "HS256", "crit": ["b64"], "b64": True},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "b64": False},
        {"alg": "HS256", "kid": "../../etc/passwd"},
        {"alg": "HS256", "kid": "' OR 1=1 --"},
        {"alg": "HS256", "kid": "x" * 5000},
        {"alg": "HS256", "kid": ""},
        {"alg": "HS256", "kid": 7},
        {"alg": "HS256", "kid": None},
        {"alg": "HS256", "kid": ["main"]},
        {"alg": "HS256", "kid": "\ud800"},
    ],
)
async def test_a_header_that_asks_for_something_else_is_refused(header: dict[str, object]) -> None:
    """All of them are signed with the right secret, so it is the header alone that is wrong."""
    checks = verifier(secret_key(SECRET), secret_key(NEW_SECRET, "main"))
    await checks.verify(forge_hmac(SECRET.encode(), {"alg": "HS256"}), now_seconds=NOW)
    with pytest.raises(InvalidToken):
        await checks.verify(forge_hmac(SECRET.encode(), header), now_seconds=NOW)


async def test_a_kid_is_bounded_also_where_any_would_do() -> None:
    checks = verifier(pem_key(pem("ES256")))
    await checks.verify(sign(private_key("ES256"), "ES256", {"kid": "x" * 256}), now_seconds=NOW)
    with pytest.raises(InvalidToken, match="kid is over 256"):
        await checks.verify(sign(private_key("ES256"), "ES256", {"kid": "x" * 257}), now_seconds=NOW)


async def test_a_key_that_the_token_brings_along_is_not_used() -> None:
    brought = {"jwk": jwk("ES256", 1), "jku": "https://evil.example/keys", "x5u": "https://evil.example/x"}
    with pytest.raises(InvalidToken, match="no key"):
        await verifier(pem_key(pem("ES256"))).verify(
            sign(private_key("ES256", 1), "ES256", brought), now_seconds=NOW
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": NOW - LEEWAY_SECONDS}, "expired"),
        ({"nbf": NOW + LEEWAY_SECONDS + 1}, "not valid yet"),
        ({"iat": NOW + LEEWAY_SECONDS + 1}, "not valid yet"),
        ({"aud": "another"}, "[Aa]udience"),
        ({"aud": ["costudio", 7]}, "claim format"),
        ({"iss": "another"}, "issuer"),
        ({"exp": None}, "exp"),
        ({"sub": None}, "sub"),
        ({"aud": None}, "aud"),
        ({"iss": None}, "iss"),
    ],
)
async def test_a_token_for_another_time_or_place_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidToken, match=reason):
        await verifier().verify(sign(**changes), now_seconds=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - LEEWAY_SECONDS + 0.5},
        {"nbf": NOW + LEEWAY_SECONDS},
        {"iat": NOW + LEEWAY_SECONDS},
        {"iat": None},
        {"aud": ["another", "costudio"]},
    ],
)
async def test_clocks_may_differ_by_the_leeway_and_there_may_be_other_audiences(
    changes: dict[str, Any],
) -> None:
    assert (await verifier().verify(sign(**changes), now_seconds=NOW)).subject == "alice"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "ü.ü.ü",
        "\ud800",
        sign() + "x",
        sign() + ".",
        sign().rpartition(".")[0] + ".",
        sign(filling="x" * MAX_TOKEN_BYTES),
        "A" * 1_000_000,
        forge(b"[" * 5000, {}),
        forge(b"\xff", {}),
        forge([], {}),
    ],
)
async def test_what_is_no_token_is_refused_in_words_of_our_own(token: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        await verifier().verify(token, now_seconds=NOW)
    assert len(str(caught.value)) < 80


async def test_a_token_with_odd_claims_is_refused_even_if_the_issuer_signed_it() -> None:
    for payload in (b"[1]", b"not json", b"\xff", b"[" * 5000, b'{"exp": 1' + b"0" * 5000 + b"}"):
        unsigned = forge({"alg": "HS256"}, payload).rpartition(".")[0]
        signature = hmac.digest(SECRET.encode(), unsigned.encode(), hashlib.sha256)
        token = unsigned + "." + forge(b"", b"", signature).rpartition(".")[2]
        with pytest.raises(InvalidToken, match="payload"):
            await verifier().verify(token, now_seconds=NOW)
