"""What changes in rights takes effect on connections that are open already, within a moment."""

import logging

import anyio
import anyio.lowlevel

from crdt_store.update_log import LogUnavailable
from server.access.doorkeeper import Doorkeeper
from server.protocol.closing import CloseCode
from server.transport.connection_manager import ConnectionManager
from server.transport.watched import Guest

_RETRY_SECONDS = 0.25
_AT_ONCE = 100  # half a millisecond's work; then the others have their turn
logger = logging.getLogger(__name__)


class LiveAccess:
    """Looks again at what each connection may do whenever the Doorkeeper says that rights have changed.

    Where it is known whose, they are not read meanwhile: nothing that comes after the change is judged as before it.
    """

    def __init__(self, connections: ConnectionManager, doorkeeper: Doorkeeper) -> None:
        self._connections = connections
        self._doorkeeper = doorkeeper
        self._users: set[int] = set()
        self._is_everybody = False
        self._news = anyio.Event()
        self.changes = 0
        """Of rights so far: who was let in while it grew is to be looked at again."""
        doorkeeper.on_change(self.changed)

    def changed(self, user_ids: frozenset[int] | None) -> None:
        """The rights of these users have changed; None: of everybody."""
        self.changes += 1
        if user_ids is None:
            self._is_everybody = True
        else:
            self._users |= user_ids
            for connection in self._connections.of_users(user_ids):
                connection.await_role()
        self._news.set()

    async def run(self) -> None:
        """Follow the changes for as long as the server runs."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            users, self._users = (None if self._is_everybody else self._users), set()
            self._is_everybody = False
            try:
                for index, connection in enumerate(self._connections.of_users(users)):
                    await self._look_again(connection)
                    if index % _AT_ONCE == 0:
                        await anyio.lowlevel.checkpoint()
            except LogUnavailable as error:
                logger.error("rights have changed and cannot be looked up, trying again: %s", error)
                await anyio.sleep(_RETRY_SECONDS)
                self.changed(None if users is None else frozenset(users))

    async def _look_again(self, connection: Guest) -> None:
        """Whatever goes wrong with one connection is its own affair. Raises LogUnavailable."""
        try:
            await self._apply(connection)
        except LogUnavailable:
            raise
        except Exception:
            logger.exception("a connection's rights could not be changed")
            connection.close(CloseCode.INTERNAL_ERROR, "your rights have changed: come back")

    async def _apply(self, connection: Guest) -> None:
        identity = connection.identity
        if self._doorkeeper.is_revoked(identity):
            connection.refuse(CloseCode.UNAUTHORIZED, "the token was revoked")
        else:
            connection.set_role(await self._doorkeeper.role_in(identity, connection.room_name))
