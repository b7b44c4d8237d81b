"""Everyone has one id."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from crdt_store.engine import Database, create_engine
from crdt_store.tables import users
from crdt_store.update_log import LogUnavailable
from crdt_store.users import IdTaken, User, UserDirectory

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def directory(database: Database) -> UserDirectory:
    return UserDirectory(database, clock=lambda: NOW, cache_size=2)


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[list[Database]]:
    """Several nodes on one database."""
    databases = [create_engine(database_url) for _ in range(3)]
    yield databases
    for database in databases:
        await database.close()


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


async def test_first_use_by_many_at_once_makes_one_user(databases: list[Database]) -> None:
    directories = [UserDirectory(database) for database in databases]
    ids = await asyncio.gather(*(each.id_of("i", "s", "Ada") for each in directories for _ in range(10)))
    assert len(set(ids)) == 1


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


async def test_a_fixed_id_is_the_users(directory: UserDirectory) -> None:
    assert await directory.id_of("host", "4711", "Ada", fixed_id=4711) == 4711
    assert await directory.id_of("host", "4711", "Ada", fixed_id=4711) == 4711
    assert await directory.id_of("host", "4711", "Ada L.", fixed_id=4711) == 4711
    assert await directory.find(4711) == User(4711, "host", "4711", "Ada L.")


async def test_who_has_another_id_already_keeps_it(directory: UserDirectory) -> None:
    user_id = await directory.id_of("host", "4711", "Ada")
    assert await directory.id_of("host", "4711", "Ada L.", fixed_id=4711) == user_id
    assert await directory.find(4711) is None


async def test_an_id_of_somebody_else_is_refused(directory: UserDirectory) -> None:
    user_id = await directory.id_of("i", "s", "Ada")
    with pytest.raises(IdTaken):
        await directory.id_of("host", str(user_id), "Eve", fixed_id=user_id)
    assert await directory.find(user_id) == User(user_id, "i", "s", "Ada")
    with pytest.raises(IdTaken):
        await directory.id_of("host", str(user_id), "Eve", fixed_id=user_id)


@pytest.mark.parametrize("fixed_id", [-1, 0, 2**30, 2**31, 2**63, 10**30])
async def test_a_number_that_can_be_no_id_is_refused(directory: UserDirectory, fixed_id: int) -> None:
    with pytest.raises(IdTaken, match="cannot be the id"):
        await directory.id_of("host", str(fixed_id), "Ada", fixed_id=fixed_id)
    assert await directory.find(fixed_id) is None


@pytest.mark.parametrize("fixed", [[1], [2], [1, 5, 9], [5, 3], [2**30 - 1], [4, 2**20, 9]])
async def test_a_fixed_id_is_never_given_to_somebody_else(directory: UserDirectory, fixed: list[int]) -> None:
    ids = []
    for fixed_id in fixed:
        ids.append(await directory.id_of("host", str(fixed_id), "Ada", fixed_id=fixed_id))
        ids += [await directory.id_of("i", f"{fixed_id} {number}", "Bob") for number in range(3)]
    assert [user_id for user_id in ids if user_id in fixed] == fixed
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("fixed_id", [1, 2, 1000])
async def test_the_database_itself_goes_on_after_a_fixed_id(
    directory: UserDirectory, database: Database, fixed_id: int
) -> None:
    await directory.id_of("host", str(fixed_id), "Ada", fixed_id=fixed_id)
    values = {"issuer": "i", "subject": "s", "name": "Bob", "created_at": NOW}
    query = insert(users).returning(users.c.id)
    made = await database.write(lambda connection: connection.execute(query, values).scalar_one())
    assert made == fixed_id + 1


async def test_fixed_ids_and_others_that_are_given_at_once_are_apart(databases: list[Database]) -> None:
    directories = [UserDirectory(database) for database in databases]
    numbers = range(3, 60, 3)
    fixed, others = [], []
    for index, directory in enumerate(directories):
        for number in numbers[index::3]:
            fixed.append(directory.id_of("host", str(number), "Ada", fixed_id=number))
            others.append(directory.id_of("i", str(number), "Bob"))
    outcomes = await asyncio.gather(
        *(call for pair in zip(fixed, others, strict=True) for call in pair), return_exceptions=True
    )
    given = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert len(set(given)) == len(given)
    assert [type(outcome) for outcome in outcomes[1::2]] == [int] * len(others)
    for number, outcome in zip((n for i in range(3) for n in numbers[i::3]), outcomes[::2], strict=True):
        assert outcome == number or isinstance(outcome, IdTaken)


async def test_first_use_of_a_fixed_id_by_many_at_once_makes_one_user(databases: list[Database]) -> None:
    directories = [UserDirectory(database) for database in databases]
    for number in range(1, 6):
        ids = await asyncio.gather(
            *(each.id_of("host", str(number), "Ada", fixed_id=number) for each in directories for _ in "ab")
        )
        assert set(ids) == {number}


@pytest.mark.parametrize("nobody", [-1, 0, 99, 2**31, 2**63, 10**30])
async def test_nobody_is_found_under_another_number(directory: UserDirectory, nobody: int) -> None:
    await directory.id_of("i", "s", "Ada")
    assert await directory.find(nobody) is None


@pytest.mark.parametrize("earlier", [0, 2])
async def test_below_two_to_the_thirtieth_an_issuer_gives_the_ids_once_they_are_reserved(
    databases: list[Database], earlier: int
) -> None:
    first, second, _ = map(UserDirectory, databases)
    old = [await first.id_of("i", f"old {number}", "Ada") for number in range(earlier)]
    for directory in (first, second):
        await directory.reserve_low_ids()
        new = await directory.id_of("i", f"new {len(old)}", "Bob")
        assert new == 2**30 + len(old) - earlier
        old.append(new)
        assert await directory.id_of("host", str(90 + len(old)), "Eve", fixed_id=90 + len(old)) == 90 + len(
            old
        )
    await asyncio.gather(*(UserDirectory(each).reserve_low_ids() for each in databases))
    assert await second.id_of("i", "last", "Bob") == 2**30 + 2
    assert await first.id_of("i", "old 0", "Ada") == (1 if earlier else 2**30 + 3)
