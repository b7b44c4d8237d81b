"""JSON Web Tokens in (PyJWT): from a text that anybody may have sent to who it proves them to be."""

from collections import OrderedDict
from typing import Any, NamedTuple

import jwt

from auth.claims import MAX_NAME_CHARACTERS, read_claims
from auth.jwks import Jwks
from auth.keys import ALGORITHMS, MAX_KID_CHARACTERS, SYMMETRIC_ALGORITHM, Key, KeySet
from auth.principals import Principal
from auth.refusals import InvalidToken, KeysUnavailable

__all__ = ["MAX_NAME_CHARACTERS", "InvalidToken", "KeysUnavailable", "TokenVerifier"]

MAX_TOKEN_BYTES = 8192
_DECODE_OPTIONS: Any = {
    "require": ["exp", "sub", "aud", "iss"],
    # PyJWT reads the wall clock itself for these; here the caller's clock decides.
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat"), False),
    # These two are read with the other claims.
    **dict.fromkeys(("verify_sub", "verify_jti"), False),
}


class _Header(NamedTuple):
    algorithm: str
    kid: str | None


class _Proven(NamedTuple):
    """What a token proves at any time within its own; `published_key`: the fetched key that it stands on, if one."""

    principal: Principal
    valid_from_seconds: float
    published_key: Key | None


class TokenVerifier:
    """Verifies the tokens of one issuer for one audience, with keys that are set and keys that are published.

    What a token proved is remembered for the `cache_size` that were used last, for as long as its key stands.
    """

    def __init__(
        self,
        keys: KeySet,
        issuer: str,
        audience: str,
        leeway_seconds: float,
        *,
        jwks: Jwks | None = None,
        cache_size: int = 4096,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway_seconds = leeway_seconds
        self._jwks = jwks
        self._cache_size = cache_size
        self._cache: OrderedDict[str, _Proven] = OrderedDict()

    async def verify(self, token: str, *, now_seconds: float) -> Principal:
        """Who the token proves somebody to be, now.

        Raises InvalidToken, saying which check failed; KeysUnavailable where that cannot be told now.
        """
        proven = self._cache.get(token)
        if proven is None or not self._stands(proven, now_seconds):
            proven = await self._prove(token, now_seconds)
        if now_seconds >= proven.principal.expires_at_seconds + self._leeway_seconds:
            raise InvalidToken("token refused: it has expired")
        if now_seconds < proven.valid_from_seconds - self._leeway_seconds:
            raise InvalidToken("token refused: it is not valid yet")
        self._remember(token, proven)
        return proven.principal

    def _remember(self, token: str, proven: _Proven) -> None:
        self._cache[token] = proven
        self._cache.move_to_end(token)
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)

    def _stands(self, proven: _Proven, now_seconds: float) -> bool:
        key = proven.published_key
        return key is None or (
            self._jwks is not None and self._jwks.vouches_for(key, now_seconds=now_seconds)
        )

    async def _prove(self, token: str, now_seconds: float) -> _Proven:
        header = _read_header(token)
        published_key = None
        claims = self._decode_with_set_key(token, header)
        if claims is None and self._jwks is not None and header.algorithm != SYMMETRIC_ALGORITHM:
            published_key = await self._jwks.find(*header, now_seconds=now_seconds)
            claims = self._decode(token, published_key)
        if claims is None:
            raise InvalidToken("token refused: no key that is known signed it")
        read = read_claims(claims)
        return _Proven(read.principal(self._issuer), read.valid_from_seconds, published_key)

    def _decode_with_set_key(self, token: str, header: _Header) -> dict[str, Any] | None:
        key = self._keys.find(*header)
        return None if key is None else self._decode(token, key)

    def _decode(self, token: str, key: Key) -> dict[str, Any] | None:
        """The claims, with issuer and audience checked; None where another key signed. Raises InvalidToken."""
        try:
            return jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                options=_DECODE_OPTIONS,
            )
        except jwt.InvalidSignatureError:
            return None
        except jwt.InvalidTokenError as error:
            raise InvalidToken(f"token refused: {error}") from error


def _read_header(token: str) -> _Header:
    """What the token says of its key, which proves nothing yet. Raises InvalidToken."""
    if not token:
        raise InvalidToken("token missing")
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken(f"token over {MAX_TOKEN_BYTES} bytes")
    if not token.isascii():
        raise InvalidToken("token refused: it is not a JSON Web Token")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:  # its words may quote the header
        raise InvalidToken("token refused: it is not a JSON Web Token") from error
    if "crit" in header:
        raise InvalidToken("token refused: crit is not supported")
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise InvalidToken(f"token refused: alg must be one of {', '.join(ALGORITHMS)}")
    if kid is not None and len(kid) > MAX_KID_CHARACTERS:
        raise InvalidToken(f"token refused: kid is over {MAX_KID_CHARACTERS} characters")
    return _Header(algorithm, kid)
