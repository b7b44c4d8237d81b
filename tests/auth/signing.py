"""Tokens and keys as an issuer has them, and as somebody makes them up."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth.keys import Key, KeySet, secret_key
from auth.verifying import TokenVerifier

NOW = 1_700_000_000.0
SECRET = "a secret for tests, long enough to sign with"
PUBLIC_ALGORITHMS = ("RS256", "ES256", "EdDSA")
LEEWAY_SECONDS = 5.0


def private_key(algorithm: str, number: int = 0) -> Any:
    """A key pair of that algorithm; another one for each `number`."""
    return _private_key(algorithm, number)


@cache
def _private_key(algorithm: str, number: int) -> Any:
    match algorithm:
        case "RS256":
            return generate_rsa_key(public_exponent=65537, key_size=2048)
        case "ES256":
            return generate_private_key(SECP256R1())
        case _:
            return Ed25519PrivateKey.generate()


def pem(algorithm: str, number: int = 0) -> bytes:
    """The public half, as a file has it."""
    public: bytes = (
        private_key(algorithm, number)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return public


def jwk(algorithm: str, number: int = 0, **members: Any) -> dict[str, object]:
    """The public half, as a JSON Web Key Set has it."""
    public = private_key(algorithm, number).public_key()
    return {**jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True), **members}


def jwks(*entries: object) -> bytes:
    return json.dumps({"keys": entries}).encode()


def claims(**changes: object) -> dict[str, object]:
    """Good claims with some changed; None leaves one out."""
    good = {"iss": "costudio", "aud": "costudio", "sub": "alice", "iat": NOW, "exp": NOW + 100}
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(
    key: Any = SECRET, algorithm: str = "HS256", header: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    """A token with good claims, some of them changed."""
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=dict(header or {}))


def forge(header: object, payload: object, signature: bytes = b"") -> str:
    """A token that no library would make; `header` and `payload` may be JSON values or bytes."""
    parts = (
        part if isinstance(part, bytes) else json.dumps(part).encode()
        for part in (header, payload, signature)
    )
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def verifier(*keys: Key, **options: Any) -> TokenVerifier:
    """One that knows these keys, else the secret."""
    known = KeySet(keys or [secret_key(SECRET)])
    return TokenVerifier(known, "costudio", "costudio", LEEWAY_SECONDS, **options)
