"""What signs tokens and what verifies them, as the settings say."""

from collections.abc import Iterator
from contextlib import contextmanager

from auth.jwks import Jwks
from auth.jwks_http import http_fetch
from auth.keys import Key, KeySet, pem_key, secret_key
from auth.minting import TokenMinter
from auth.verifying import TokenVerifier
from server.settings import Settings, SettingsError


def token_minter(settings: Settings, kid: str | None = None) -> TokenMinter:
    """Signs with the secret named `kid`, or else the first named one, or else the one without a name.

    Raises SettingsError where there is none, or a weak one.
    """
    if kid is not None and kid not in settings.jwt_secrets:
        raise SettingsError("COSTUDIO_JWT_SECRETS has no secret of that kid")
    kid = next(iter(settings.jwt_secrets), None) if kid is None else kid
    if kid is None:
        secret = settings.resolved_jwt_secret()
        with _named("COSTUDIO_JWT_SECRET"):
            secret_key(secret)
    else:
        secret = settings.jwt_secrets[kid].get_secret_value()
        with _named(f"COSTUDIO_JWT_SECRETS, {kid!r}"):
            secret_key(secret, kid)
    return TokenMinter(secret, settings.jwt_issuer, settings.jwt_audience, kid)


def token_verifier(settings: Settings) -> TokenVerifier:
    """Knows every key that is set. Raises SettingsError where there is none, and for those that must not be used."""
    return TokenVerifier(
        KeySet([*_secrets(settings), *_public_key(settings)]),
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_leeway_seconds,
        jwks=_jwks(settings),
    )


def _secrets(settings: Settings) -> Iterator[Key]:
    has_public_keys = settings.jwt_public_key_file is not None or settings.jwt_jwks_url is not None
    if settings.jwt_secret is not None or not (
        settings.jwt_secrets or (has_public_keys and not settings.dev)
    ):
        with _named("COSTUDIO_JWT_SECRET"):
            yield secret_key(settings.resolved_jwt_secret())
    for kid, secret in settings.jwt_secrets.items():
        with _named(f"COSTUDIO_JWT_SECRETS, {kid!r}"):
            yield secret_key(secret.get_secret_value(), kid)


def _public_key(settings: Settings) -> Iterator[Key]:
    if settings.jwt_public_key_file is not None:
        with _named("COSTUDIO_JWT_PUBLIC_KEY_FILE"):
            yield pem_key(settings.jwt_public_key_file.read_bytes())


def _jwks(settings: Settings) -> Jwks | None:
    if settings.jwt_jwks_url is None:
        return None
    with _named("COSTUDIO_JWT_JWKS_URL"):
        return Jwks(
            http_fetch(settings.jwt_jwks_url),
            max_age_seconds=settings.jwks_max_age_seconds,
            min_refresh_seconds=settings.jwks_min_refresh_seconds,
        )


@contextmanager
def _named(variable: str) -> Iterator[None]:
    """Say which setting an error is about."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"{variable}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{variable}: {error}") from error
