"""The keys that tokens are checked with. Each is of one algorithm by what it is, never by what a token says."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SYMMETRIC_ALGORITHM = "HS256"
ALGORITHMS = (SYMMETRIC_ALGORITHM, "RS256", "ES256", "EdDSA")
MIN_SECRET_BYTES = 32
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 16384
MAX_KID_CHARACTERS = 256

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Key:
    """What one issuer signs with: a shared secret or a public key, and the `kid` it is known by, if any."""

    algorithm: str
    material: bytes | PublicKey = field(repr=False)
    kid: str | None = None


def secret_key(secret: str, kid: str | None = None) -> Key:
    """A shared secret. Raises ValueError, without a word of it, where it is weak or is no secret at all."""
    material = secret.encode()
    if len(material) < MIN_SECRET_BYTES:
        raise ValueError(f"a secret needs at least {MIN_SECRET_BYTES} bytes")
    if kid is not None and not 0 < len(kid) <= MAX_KID_CHARACTERS:
        raise ValueError(f"a kid has 1 to {MAX_KID_CHARACTERS} characters")
    try:  # a public key that signs as a secret is one that everybody has
        jwt.get_algorithm_by_name(SYMMETRIC_ALGORITHM).prepare_key(material)
    except jwt.InvalidKeyError as error:
        raise ValueError("this is a public key or a JWK, not a secret") from error
    return Key(SYMMETRIC_ALGORITHM, material, kid)


def public_key(material: object, kid: str | None = None) -> Key:
    """A public key, of the algorithm that its type has. Raises ValueError for weak ones and other types."""
    match material:
        case RSAPublicKey(key_size=bits) if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            raise ValueError(
                f"an RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, this one has {bits}"
            )
        case RSAPublicKey():
            return Key("RS256", material, kid)
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return Key("ES256", material, kid)
        case Ed25519PublicKey():
            return Key("EdDSA", material, kid)
    raise ValueError("a public key must be of RSA, P-256 or Ed25519")


def pem_key(pem: bytes) -> Key:
    """The public key of a PEM file, which gives it no name. Raises ValueError."""
    try:
        return public_key(load_pem_public_key(pem))
    except UnsupportedAlgorithm as error:
        raise ValueError("a public key must be of RSA, P-256 or Ed25519") from error


class KeySet:
    """Keys by algorithm and `kid`; of two with the same name and algorithm the first counts."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys: dict[tuple[str, str | None], Key] = {}
        for key in keys:
            self._keys.setdefault((key.algorithm, key.kid), key)
        for algorithm in ALGORITHMS:
            of_algorithm = [key for key in self._keys.values() if key.algorithm == algorithm]
            if len(of_algorithm) == 1:
                self._keys[algorithm, None] = of_algorithm[0]

    def find(self, algorithm: str, kid: str | None) -> Key | None:
        """The key that a token of this header must be signed with.

        Without a `kid` it is the unnamed key, or the only one of the algorithm. With a `kid` that no key has
        it may be an unnamed public key: PEM files have no names, but whoever signs may have given one.
        Secrets have theirs from us.
        """
        found = self._keys.get((algorithm, kid))
        if found is None and algorithm != SYMMETRIC_ALGORITHM:
            unnamed = self._keys.get((algorithm, None))
            return unnamed if unnamed is not None and unnamed.kid is None else None
        return found
