"""Of the keys that an issuer publishes only those are used that are safe to use."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt import get_algorithm_by_name

from auth.jwk import read_jwks
from tests.auth.signing import PUBLIC_ALGORITHMS, jwk, jwks, private_key


def published(algorithm: str, private: Any) -> dict[str, object]:
    return dict(get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True))


@pytest.mark.parametrize("members", [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"kid": "a"}])
@pytest.mark.parametrize("algorithm", PUBLIC_ALGORITHMS)
def test_a_key_to_verify_with_is_taken_in(algorithm: str, members: dict[str, Any]) -> None:
    keys, complaints = read_jwks(jwks(jwk(algorithm, alg=algorithm, **members)))
    key = keys.find(algorithm, None)
    assert key is not None
    assert (key.algorithm, key.kid, complaints) == (algorithm, members.get("kid"), frozenset())


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "alg": "HS256"}, "not an RSA"),
        (jwk("RS256", use="enc"), "not for signatures"),
        (jwk("RS256", key_ops=["encrypt"]), "not for signatures"),
        (jwk("RS256", key_ops="verify"), "not for signatures"),
        (jwk("RS256", alg="HS256"), "its alg is not RS256"),
        (jwk("RS256", alg="ES256"), "its alg is not RS256"),
        (jwk("ES256", alg="none"), "its alg is not ES256"),
        (jwk("ES256", crv="P-384"), "broken"),
        (jwk("ES256", x="AA"), "broken"),
        (jwk("ES256", y=7), "broken"),
        (jwk("RS256", n=None), "broken"),
        (jwk("EdDSA", x="AA"), "broken"),
        (jwk("RS256", kid=7), "kid"),
        (jwk("RS256", kid="x" * 257), "kid"),
        (jwk("RS256", kty=["RSA"]), "not an RSA"),
        ("text", "not a JSON object"),
        (published("RS256", generate_rsa_key(public_exponent=65537, key_size=1024)), "2048"),
        (published("ES384", generate_private_key(SECP384R1())), "P-256"),
        (get_algorithm_by_name("ES256").to_jwk(private_key("ES256"), as_dict=True), "public key must be"),
    ],
)
def test_other_entries_are_left_out_and_the_rest_serves(entry: object, reason: str) -> None:
    keys, complaints = read_jwks(jwks(entry, jwk("EdDSA", kid="good")))
    (complaint,) = complaints
    assert reason in complaint
    assert keys.find("EdDSA", "good")
    assert not any(keys.find(algorithm, None) for algorithm in ("HS256", "RS256", "ES256"))
