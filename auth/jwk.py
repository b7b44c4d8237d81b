"""The keys that an issuer publishes as a JSON Web Key Set (RFC 7517)."""

import json
from typing import Any, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from auth.keys import MAX_KID_CHARACTERS, Key, KeySet, public_key

_ALGORITHM_OF_TYPE = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}


class PublishedKeys(NamedTuple):
    """The usable keys of a set, and a line for each entry that is left out."""

    keys: KeySet
    complaints: frozenset[str]


def read_jwks(body: bytes) -> PublishedKeys:
    """Raises ValueError for what is no key set. An empty one is one: the issuer has taken its keys back."""
    try:
        entries = json.loads(body)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("what was fetched is not a JSON Web Key Set") from error
    if not isinstance(entries, list):
        raise ValueError("what was fetched is not a JSON Web Key Set")
    keys, complaints = [], set()
    for number, entry in enumerate(entries):
        try:
            keys.append(_read_jwk(entry))
        except ValueError as error:
            complaints.add(f"number {number}: {error}")
    return PublishedKeys(KeySet(keys), frozenset(complaints))


def _read_jwk(entry: Any) -> Key:
    """Raises ValueError, saying why the key is of no use here."""
    if not isinstance(entry, dict):
        raise ValueError("not a JSON object")
    algorithm = _ALGORITHM_OF_TYPE.get(str(entry.get("kty")))
    if algorithm is None:
        raise ValueError("not an RSA, EC or OKP key")
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not (isinstance(operations, list) and "verify" in operations):
        raise ValueError("not for signatures")
    if entry.get("alg", algorithm) != algorithm:
        raise ValueError(f"its alg is not {algorithm}")
    kid = entry.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARACTERS):
        raise ValueError(f"its kid is not text of at most {MAX_KID_CHARACTERS} characters")
    try:
        material = jwt.get_algorithm_by_name(algorithm).from_jwk(entry)
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError) as error:
        raise ValueError("broken") from error
    return public_key(material, kid)
