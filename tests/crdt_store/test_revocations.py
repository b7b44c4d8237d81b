"""Revocations: kept for all nodes, as long as they are needed, and not more of them than say something."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from crdt_store.engine import Database, create_engine
from crdt_store.revocations import Revocation, Revocations
from crdt_store.tables import MAX_ID
from crdt_store.tables import revocations as revocations_table
from crdt_store.update_log import LogUnavailable
from crdt_store.users import NoSuchUser, UserDirectory

NOW = 1_764_000_000.25


@pytest.fixture
def revocations(database: Database) -> Revocations:
    return Revocations(database, clock=lambda: NOW)


@pytest.fixture
async def ada(database: Database) -> int:
    return await UserDirectory(database).id_of("i", "ada", "Ada")


@pytest.fixture
async def bob(database: Database) -> int:
    return await UserDirectory(database).id_of("i", "bob", "Bob")


async def kept(database: Database) -> int:
    query = select(func.count()).select_from(revocations_table)
    return await database.read(lambda connection: connection.execute(query).scalar_one())


async def test_what_was_revoked_is_known_to_every_node(
    revocations: Revocations, database_url: str, database: Database, ada: int, bob: int
) -> None:
    of_token = Revocation("jti 🦄", None, NOW, NOW + 3600, ada)
    of_user = Revocation(None, bob, NOW, None, bob)
    await revocations.add(of_token)
    await revocations.add(of_user)
    other = create_engine(database_url)
    assert await Revocations(other).all(NOW) == [of_token, of_user]
    await other.close()
    query = select(revocations_table.c.revoked_at_ms)
    found = await database.read(lambda connection: list(connection.scalars(query)))
    assert found == [int(NOW * 1000)] * 2


async def test_times_are_never_earlier_than_given(revocations: Revocations, ada: int) -> None:
    await revocations.add(Revocation(None, ada, 1000.0001, 2000.0001, ada))
    (found,) = await revocations.all(0)
    assert (found.before_seconds, found.expires_at_seconds) == (1000.001, 2000.001)


async def test_what_has_ended_is_left_out_and_removed(
    revocations: Revocations, database: Database, ada: int
) -> None:
    short = Revocation("short", None, NOW, NOW + 1, ada)
    long = Revocation("long", None, NOW, NOW + 2, ada)
    always = Revocation(None, ada, NOW, None, ada)
    for each in (short, long, always):
        await revocations.add(each)
    assert await revocations.all(NOW + 0.999) == [short, long, always]
    assert await kept(database) == 3
    assert await revocations.all(NOW + 1) == [long, always]
    assert await kept(database) == 2
    assert await revocations.all(NOW + 1e9) == [always]
    assert await kept(database) == 1


async def test_a_later_revocation_stands_for_those_that_say_no_more(
    revocations: Revocations, database: Database, ada: int, bob: int
) -> None:
    others = [Revocation(None, bob, NOW, None, ada), Revocation("jti", None, NOW, NOW + 60, ada)]
    for each in others:
        await revocations.add(each)
    for second in range(3):
        await revocations.add(Revocation(None, ada, NOW + second, None, ada))
        await revocations.add(Revocation("mine", None, NOW, NOW + 60 + second, ada))
    assert await revocations.all(NOW) == [
        *others,
        Revocation(None, ada, NOW + 2, None, ada),
        Revocation("mine", None, NOW, NOW + 62, ada),
    ]
    assert await kept(database) == 4


@pytest.mark.parametrize(
    "change",
    [{"before_seconds": NOW + 1}, {"expires_at_seconds": NOW + 99}, {"expires_at_seconds": None}],
)
async def test_a_revocation_that_says_more_is_not_lost_to_a_later_one(
    revocations: Revocations, ada: int, change: dict[str, float | None]
) -> None:
    weaker = Revocation(None, ada, NOW, NOW + 60, ada)
    stronger = replace(weaker, **change)  # type: ignore[arg-type]
    await revocations.add(stronger)
    await revocations.add(weaker)
    assert await revocations.all(NOW) == [stronger, weaker]


@pytest.mark.parametrize("nobody", [-1, 0, 99, MAX_ID + 1, 2**63])
async def test_of_nobody_and_by_nobody_nothing_is_revoked(
    revocations: Revocations, database: Database, ada: int, nobody: int
) -> None:
    with pytest.raises(NoSuchUser):
        await revocations.add(Revocation(None, nobody, NOW, None, ada))
    with pytest.raises(NoSuchUser):
        await revocations.add(Revocation("jti", None, NOW, None, nobody))
    assert await kept(database) == 0


@pytest.mark.parametrize(("token_id", "user_id"), [(None, None), ("jti", 1)])
def test_a_revocation_is_of_a_token_or_of_a_user(token_id: str | None, user_id: int | None) -> None:
    with pytest.raises(ValueError, match="of a token, or of a user"):
        Revocation(token_id, user_id, NOW, None, 1)


async def test_a_database_that_does_not_answer_is_unavailable(
    revocations: Revocations, database: Database, ada: int
) -> None:
    await database.close()
    with pytest.raises(LogUnavailable):
        await revocations.all(NOW)
    with pytest.raises(LogUnavailable):
        await revocations.add(Revocation("jti", None, NOW, None, ada))
