"""An issuer's published keys: fetched when needed, kept, fetched anew in time or for a `kid` that is not known."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable

from auth.jwk import read_jwks
from auth.keys import Key, KeySet
from auth.refusals import InvalidToken, KeysUnavailable

logger = logging.getLogger(__name__)


class FetchFailed(Exception):
    """The keys could not be fetched; the message says why."""


class Jwks:
    """Keys behind `fetch`, which returns the bytes of a JSON Web Key Set or raises FetchFailed.

    They are fetched again after `max_age_seconds`, or for an unknown `kid`, but never twice within
    `min_refresh_seconds`. While that fails the old ones serve, and nobody waits for the attempts.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        max_age_seconds: float,
        min_refresh_seconds: float,
    ) -> None:
        self._fetch = fetch
        self._max_age_seconds = max_age_seconds
        self._min_refresh_seconds = min_refresh_seconds
        self._keys = KeySet(())
        self._complaints: frozenset[str] = frozenset()
        self._is_failing = False
        self._tried_at_seconds = -math.inf
        self._due_at_seconds = -math.inf
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, kid: str | None, *, now_seconds: float) -> Key:
        """The key for a token of this header (see KeySet.find). Raises InvalidToken, KeysUnavailable."""
        key = self._keys.find(algorithm, kid)
        is_due = now_seconds >= self._due_at_seconds
        if key is None or is_due:
            self._start_refresh(now_seconds)
        if self._refreshing is not None and (key is None or (is_due and not self._is_failing)):
            await asyncio.shield(self._refreshing)  # who gives up waiting does not end it for the others
            key = self._keys.find(algorithm, kid)
        if key is not None:
            return key
        if self._is_failing:
            raise KeysUnavailable("the issuer's keys cannot be fetched now: try again later")
        raise InvalidToken("token refused: no key of that name and algorithm is known")

    def vouches_for(self, key: Key, *, now_seconds: float) -> bool:
        """Whether a key found earlier is still published, as far as is known without fetching."""
        return now_seconds < self._due_at_seconds and self._keys.find(key.algorithm, key.kid) == key

    def _start_refresh(self, now_seconds: float) -> None:
        if self._refreshing is None and now_seconds >= self._tried_at_seconds + self._min_refresh_seconds:
            self._tried_at_seconds = now_seconds
            self._refreshing = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            keys, complaints = read_jwks(await self._fetch())
        except (FetchFailed, ValueError) as error:
            if not self._is_failing:
                logger.warning("the issuer's keys (JWKS) cannot be fetched, known ones serve on: %s", error)
            self._is_failing = True
            self._due_at_seconds = self._tried_at_seconds + self._min_refresh_seconds
        else:
            for complaint in sorted(complaints - self._complaints):
                logger.warning("one of the issuer's keys (JWKS) is left out: %s", complaint)
            if self._is_failing:
                logger.info("the issuer's keys (JWKS) are fetched again")
            self._keys, self._complaints, self._is_failing = keys, complaints, False
            self._due_at_seconds = self._tried_at_seconds + self._max_age_seconds
        finally:
            self._refreshing = None
