"""Everyone has one id."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from crdt_store.engine import Database, create_engine
from crdt_store.tables import users
from crdt_store.update_log import LogUnavailable
from crdt_store.users import UserDirectory

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def directory(database: Database) -> UserDirectory:
    return UserDirectory(database, clock=lambda: NOW, cache_size=2)


async def test_the_pair_of_issuer_and_subject_is_the_user(directory: UserDirectory) -> None:
    ids = [await directory.id_of(issuer, subject, "Ada") for issuer in "ij" for subject in "st"]
    assert len(set(ids)) == 4
    assert [await directory.id_of(issuer, subject, "Ada") for issuer in "ij" for subject in "st"] == ids


async def test_the_name_given_last_is_kept(directory: UserDirectory, database: Database) -> None:
    user_id = await directory.id_of("i", "s", "Ada")
    assert await directory.id_of("i", "s", "Ada L.") == user_id
    found = await database.read(lambda connection: connection.execute(select(users)).one())
    assert (found.id, found.name, found.created_at, found.last_seen, found.is_online) == (
        user_id,
        "Ada L.",
        NOW,
        None,
        False,
    )


async def test_first_use_by_many_at_once_makes_one_user(database_url: str) -> None:
    databases = [create_engine(database_url) for _ in range(3)]
    directories = [UserDirectory(database) for database in databases]
    ids = await asyncio.gather(*(each.id_of("i", "s", "Ada") for each in directories for _ in range(10)))
    assert len(set(ids)) == 1
    for database in databases:
        await database.close()


async def test_known_users_need_no_database(directory: UserDirectory, database: Database) -> None:
    user_id = await directory.id_of("i", "s", "Ada")
    await database.close()
    assert await directory.id_of("i", "s", "Ada") == user_id
    with pytest.raises(LogUnavailable):
        await directory.id_of("i", "other", "Bob")


async def test_only_the_latest_users_are_remembered(directory: UserDirectory, database: Database) -> None:
    for subject in ("1", "2", "1", "3"):
        await directory.id_of("i", subject, "Ada")
    await database.close()
    for subject in ("1", "3"):
        await directory.id_of("i", subject, "Ada")
    with pytest.raises(LogUnavailable):
        await directory.id_of("i", "2", "Ada")
