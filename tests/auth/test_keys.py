"""A key has one algorithm, and weak ones are refused before anybody depends on them."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP384R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth.keys import pem_key, secret_key
from tests.auth.signing import PUBLIC_ALGORITHMS, SECRET, jwk, pem


@pytest.mark.parametrize("algorithm", PUBLIC_ALGORITHMS)
def test_the_type_of_a_public_key_is_its_algorithm(algorithm: str) -> None:
    assert pem_key(pem(algorithm)).algorithm == algorithm


@pytest.mark.parametrize(
    ("secret", "kid", "reason"),
    [
        ("x" * 31, None, "32 bytes"),
        ("", None, "32 bytes"),
        (pem("RS256").decode(), None, "not a secret"),
        (json.dumps(jwk("RS256")), None, "not a secret"),
        (SECRET, "", "kid"),
        (SECRET, "x" * 257, "kid"),
    ],
)
def test_a_secret_that_must_not_be_used_is_refused_without_a_word_of_it(
    secret: str, kid: str | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        secret_key(secret, kid)
    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize(
    ("private", "reason"),
    [
        (generate_rsa_key(public_exponent=65537, key_size=1024), "2048"),
        (generate_private_key(SECP384R1()), "P-256"),
    ],
)
def test_a_public_key_that_must_not_be_used_is_refused(
    private: RSAPrivateKey | EllipticCurvePrivateKey, reason: str
) -> None:
    file = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match=reason):
        pem_key(file)


def test_a_key_shows_no_secret() -> None:
    assert SECRET not in repr(secret_key(SECRET))
