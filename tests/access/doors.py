"""Doorkeepers for tests: their clock, their database with its reads counted, tokens they accept."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy import Connection

from auth.grants import Role
from auth.minting import TokenMinter
from crdt_store.engine import Database
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.access.stores import Stores
from server.rooms.names import RoomName, parse_room_name
from server.settings import Settings
from server.token_settings import token_minter, token_verifier

SECRET = "a secret for tests, long enough to sign with"
T = TypeVar("T")


def room(name: str) -> RoomName:
    return parse_room_name(name, plain_names_workspace_id=None)


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_seconds


class CountedDatabase(Database):
    """Counts what is asked of the one behind it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.calls = 0

    async def write(self, body: Callable[[Connection], T]) -> T:
        self.calls += 1
        return await self._database.write(body)

    async def read(self, body: Callable[[Connection], T]) -> T:
        self.calls += 1
        return await self._database.read(body)

    async def close(self) -> None:
        await self._database.close()


class House:
    """A doorkeeper and what is around it."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self.database = CountedDatabase(database)
        self.stores = Stores.on(self.database)
        self.door = Doorkeeper(settings, token_verifier(settings), self.stores, now_seconds=clock)
        self.heard: list[frozenset[int] | None] = []
        self.door.on_change(self.heard.append)
        self._minter: TokenMinter = token_minter(settings)
        self._clock = clock

    def token(
        self,
        subject: str,
        grants: Mapping[str, Role] | None = None,
        *,
        ttl_seconds: float = 3600,
        token_id: str | None = None,
    ) -> str:
        return self._minter.mint(
            subject,
            grants=grants,
            now_seconds=self._clock(),
            ttl_seconds=ttl_seconds,
            token_id=token_id,
        )

    async def identity(self, subject: str, grants: Mapping[str, Role] | None = None) -> Identity:
        return await self.door.identify(self.token(subject, grants))

    async def role(self, who: Identity, name: str) -> Role:
        return await self.door.role_in(who, room(name))


async def open_house(database: Database, clock: Clock, **options: object) -> House:
    """`options` are settings. What has been revoked is loaded."""
    settings = Settings(jwt_secret=SECRET, **options)  # type: ignore[arg-type]
    house = House(database, clock, settings)
    await house.door.load()
    return house
