"""Retention: the history is kept in full for some days, and then thinned, by a task of the server."""

import logging
from collections.abc import Callable

import anyio

from crdt_store.database import Database
from crdt_store.thinning import Policy, Thinned, thin
from crdt_store.update_log import LogUnavailable
from server.protocol.merge_updates import merge_updates
from server.settings import Settings

_DAY_MS = 24 * 3600 * 1000

logger = logging.getLogger(__name__)


def retention_policy(settings: Settings) -> Policy:
    """What the settings say, in milliseconds."""
    return Policy(settings.history_full_days * _DAY_MS, settings.history_step_seconds * 1000)


async def thin_history(database: Database, policy: Policy, now_ms: int) -> Thinned:
    """Thin all that is old enough. Raises LogUnavailable."""
    return await thin(database, merge_updates, policy, now_ms)


class Retention:
    """Thins what has become old, every `period_seconds`; a server that stops goes on with it when it starts."""

    def __init__(
        self, database: Database, policy: Policy, *, period_seconds: float, now_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._policy = policy
        self._period_seconds = period_seconds
        self._now_ms = now_ms

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                thinned = await thin_history(self._database, self._policy, self._now_ms())
                if thinned.records:
                    logger.info("%d records of the history thinned, %d bytes less", *thinned)
            except LogUnavailable as error:
                logger.warning("the history is thinned later: %s", error)
            except Exception:
                logger.exception("the history was not thinned")
            await anyio.sleep(self._period_seconds)
