"""Published keys are fetched when they are needed, rarely, and outlive the issuer's outages."""

import asyncio
import logging

import anyio
import pytest

from auth.jwks import FetchFailed, Jwks
from auth.keys import pem_key
from auth.verifying import InvalidToken, KeysUnavailable, TokenVerifier
from tests.auth.signing import NOW, jwk, jwks, pem, private_key, sign, verifier

MAX_AGE_SECONDS, MIN_REFRESH_SECONDS = 50.0, 10.0


class Issuer:
    """Publishes `body`, once `gate` is open; None: it is down."""

    def __init__(self, body: bytes | None) -> None:
        self.body = body
        self.fetches = 0
        self.gate = anyio.Event()
        self.gate.set()
        self.jwks = Jwks(
            self._fetch, max_age_seconds=MAX_AGE_SECONDS, min_refresh_seconds=MIN_REFRESH_SECONDS
        )

    async def _fetch(self) -> bytes:
        self.fetches += 1
        await self.gate.wait()
        if self.body is None:
            raise FetchFailed("it is down")
        return self.body

    def verifier(self) -> TokenVerifier:
        return verifier(jwks=self.jwks)


def token(number: int, *, kid: str | None = None, algorithm: str = "ES256") -> str:
    """Signed with that key pair, under its number as a name unless another is given."""
    return sign(private_key(algorithm, number), algorithm, {"kid": kid or str(number)})


def body(*numbers: int) -> bytes:
    return jwks(*(jwk("ES256", number, kid=str(number)) for number in numbers))


async def test_keys_are_fetched_once_for_all_tokens() -> None:
    issuer = Issuer(body(0, 1))
    checks = issuer.verifier()
    assert issuer.fetches == 0
    for number in (0, 1, 0):
        await checks.verify(token(number), now_seconds=NOW)
    assert issuer.fetches == 1


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_the_only_key_of_an_algorithm_needs_no_name(algorithm: str) -> None:
    issuer = Issuer(jwks(*(jwk(name, kid=name) for name in ("RS256", "ES256", "EdDSA"))))
    unnamed = sign(private_key(algorithm), algorithm)
    assert (await issuer.verifier().verify(unnamed, now_seconds=NOW)).subject == "alice"


async def test_a_kid_and_an_algorithm_must_both_be_those_of_the_key() -> None:
    issuer = Issuer(jwks(jwk("ES256", kid="ec"), jwk("RS256", kid="rsa")))
    with pytest.raises(InvalidToken, match="no key"):
        await issuer.verifier().verify(sign(private_key("ES256"), "ES256", {"kid": "rsa"}), now_seconds=NOW)


async def test_a_rotated_key_is_fetched_as_soon_as_it_signs() -> None:
    issuer = Issuer(body(0))
    checks = issuer.verifier()
    await checks.verify(token(0), now_seconds=NOW)
    issuer.body = body(0, 1)
    await checks.verify(token(1), now_seconds=NOW + MIN_REFRESH_SECONDS)
    assert issuer.fetches == 2


async def test_keys_that_were_taken_back_are_forgotten_in_time() -> None:
    issuer = Issuer(body(0))
    checks = issuer.verifier()
    await checks.verify(token(0), now_seconds=NOW)
    issuer.body = jwks()
    await checks.verify(token(0), now_seconds=NOW + MAX_AGE_SECONDS - 1)
    with pytest.raises(InvalidToken, match="no key"):
        await checks.verify(token(0), now_seconds=NOW + MAX_AGE_SECONDS)


async def test_a_flood_of_unknown_kids_fetches_no_more_often_than_allowed() -> None:
    issuer = Issuer(body(0))
    checks = issuer.verifier()
    await checks.verify(token(0), now_seconds=NOW)
    for tenth in range(300):
        with pytest.raises(InvalidToken, match="no key"):
            await checks.verify(token(1, kid=f"made up {tenth}"), now_seconds=NOW + tenth / 10)
    assert issuer.fetches == 3
    await checks.verify(token(0), now_seconds=NOW + 31)


async def test_secrets_never_ask_the_issuer() -> None:
    issuer = Issuer(None)
    checks = issuer.verifier()
    await checks.verify(sign(), now_seconds=NOW)
    with pytest.raises(InvalidToken):
        await checks.verify(sign("another secret, just as long as ours"), now_seconds=NOW)
    with pytest.raises(InvalidToken):
        await checks.verify(sign(header={"kid": "unknown"}), now_seconds=NOW)
    assert issuer.fetches == 0


async def test_a_key_file_and_published_keys_serve_together() -> None:
    issuer = Issuer(body(0))
    checks = verifier(pem_key(pem("ES256", 1)), jwks=issuer.jwks)
    await checks.verify(token(1), now_seconds=NOW)
    assert issuer.fetches == 0
    await checks.verify(token(0), now_seconds=NOW)


async def test_known_keys_serve_on_while_the_issuer_is_down(caplog: pytest.LogCaptureFixture) -> None:
    issuer = Issuer(body(0))
    checks = issuer.verifier()
    await checks.verify(token(0), now_seconds=NOW)
    issuer.body = None
    down = NOW + MAX_AGE_SECONDS
    for seconds in range(30):
        assert (await checks.verify(token(0), now_seconds=down + seconds)).subject == "alice"
        await asyncio.sleep(0)  # a refresh that nobody waits for has its turn
    assert issuer.fetches == 1 + 3
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    with pytest.raises(KeysUnavailable):
        await checks.verify(token(1), now_seconds=down + 29)
    issuer.body = body(1)
    await checks.verify(token(1), now_seconds=down + 30)


async def test_nobody_waits_for_an_issuer_that_is_known_to_be_down() -> None:
    issuer = Issuer(body(0))
    checks = issuer.verifier()
    await checks.verify(token(0), now_seconds=NOW)
    issuer.body = None
    await checks.verify(token(0), now_seconds=NOW + MAX_AGE_SECONDS)
    issuer.gate = anyio.Event()
    with anyio.fail_after(5):
        await checks.verify(token(0), now_seconds=NOW + MAX_AGE_SECONDS + MIN_REFRESH_SECONDS)
    issuer.gate.set()


async def test_without_any_keys_it_is_said_that_another_try_may_help() -> None:
    issuer = Issuer(None)
    checks = issuer.verifier()
    for seconds in range(20):
        with pytest.raises(KeysUnavailable, match="try again"):
            await checks.verify(token(0), now_seconds=NOW + seconds)
    assert issuer.fetches == 2
    issuer.body = body(0)
    await checks.verify(token(0), now_seconds=NOW + 20)


@pytest.mark.parametrize("broken", [b"", b"<html>", b"[]", b'{"keys": {}}', b"null", b"[" * 100_000])
async def test_what_is_no_key_set_counts_as_an_outage(broken: bytes) -> None:
    issuer = Issuer(body(0))
    checks = issuer.verifier()
    await checks.verify(token(0), now_seconds=NOW)
    issuer.body = broken
    await checks.verify(token(0), now_seconds=NOW + MAX_AGE_SECONDS)
    assert issuer.fetches == 2


async def test_all_who_come_at_once_share_one_fetch_and_one_who_leaves_does_not_end_it() -> None:
    issuer = Issuer(body(0))
    issuer.gate = anyio.Event()
    checks = issuer.verifier()
    verified = []

    async def verify(now_seconds: float = NOW) -> None:
        verified.append(await checks.verify(token(0), now_seconds=now_seconds))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as waiters:
            with anyio.move_on_after(0.01) as first:
                await verify()
            for number in range(10):
                waiters.start_soon(verify, NOW + number * MIN_REFRESH_SECONDS)
            await anyio.wait_all_tasks_blocked()
            issuer.gate.set()
    assert (first.cancelled_caught, len(verified), issuer.fetches) == (True, 10, 1)


async def test_keys_that_are_left_out_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    issuer = Issuer(jwks(jwk("ES256", kid="0"), {"kty": "oct", "k": "c2VjcmV0"}))
    checks = issuer.verifier()
    for seconds in (0.0, MAX_AGE_SECONDS, 2 * MAX_AGE_SECONDS):
        await checks.verify(token(0), now_seconds=NOW + seconds)
    assert issuer.fetches == 3
    assert [record.getMessage() for record in caplog.records] == [
        "one of the issuer's keys (JWKS) is left out: number 1: not an RSA, EC or OKP key"
    ]
