"""Who is online holds for all nodes, and after any of them was killed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select

from crdt_store.engine import Database, create_engine
from crdt_store.memberships import Memberships
from crdt_store.presence import LEASE_SECONDS, PresenceStore, Seen
from crdt_store.projects import Projects
from crdt_store.tables import online_users, presence_nodes, users

NOW_MS = 1_764_000_000_000
LATER_MS = NOW_MS + 5_000
DEAD_MS = NOW_MS + int(LEASE_SECONDS * 1000) + 1


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


@pytest.fixture
async def people(database: Database) -> list[int]:
    """The ids of four users."""
    rows = [
        {"issuer": "tests", "subject": name, "name": name, "created_at": at(0)}
        for name in ("ada", "bob", "eve", "joe")
    ]
    await database.write(lambda connection: connection.execute(insert(users), rows))
    return list(await database.read(lambda connection: connection.scalars(select(users.c.id)).all()))


@pytest.fixture
async def other_database(database_url: str) -> AsyncIterator[Database]:
    database = create_engine(database_url)
    yield database
    await database.close()


async def is_online(database: Database, user_id: int) -> bool:
    query = select(users.c.is_online).where(users.c.id == user_id)
    return bool(await database.read(lambda connection: connection.scalar(query)))


async def last_seen(database: Database, user_id: int) -> datetime | None:
    query = select(users.c.last_seen).where(users.c.id == user_id)
    return await database.read(lambda connection: connection.scalar(query))


async def test_who_comes_is_online_and_who_goes_was_last_seen_then(
    database: Database, people: list[int]
) -> None:
    store = PresenceStore(database, "a")
    assert await store.begin(NOW_MS) == frozenset()
    ada, bob, *_ = people
    await store.save([Seen(ada, True, NOW_MS), Seen(bob, True, NOW_MS, "chat:1")])
    assert (await is_online(database, ada), await is_online(database, bob)) == (True, True)
    await store.save([Seen(ada, False, LATER_MS, "chat:7"), Seen(bob, False, LATER_MS)])
    found = await store.of(people)
    assert (await is_online(database, ada), await is_online(database, bob)) == (False, False)
    assert [found[each].last_seen for each in people] == [at(LATER_MS), at(LATER_MS), None, None]
    assert [found[each].last_room for each in people] == ["chat:7", "chat:1", None, None]


async def test_of_one_user_the_last_word_counts(database: Database, people: list[int]) -> None:
    store = PresenceStore(database, "a")
    await store.begin(NOW_MS)
    ada = people[0]
    await store.save([Seen(ada, True, NOW_MS), Seen(ada, False, LATER_MS), Seen(ada, True, LATER_MS)])
    await store.save([Seen(ada, True, LATER_MS)])
    assert await is_online(database, ada)
    await store.save([Seen(ada, False, LATER_MS)])
    assert not await is_online(database, ada)


async def test_who_is_on_two_nodes_is_online_until_both_are_left(
    database: Database, people: list[int]
) -> None:
    first, second = PresenceStore(database, "a"), PresenceStore(database, "b")
    await first.begin(NOW_MS)
    await second.begin(NOW_MS)
    ada = people[0]
    await first.save([Seen(ada, True, NOW_MS)])
    await second.save([Seen(ada, True, NOW_MS)])
    assert (await first.of([ada]))[ada].is_online
    await first.save([Seen(ada, False, LATER_MS)])
    assert await is_online(database, ada)
    assert not (await second.of([ada]))[ada].is_online  # not elsewhere
    await second.save([Seen(ada, False, LATER_MS)])
    assert not await is_online(database, ada)


async def test_a_node_that_comes_back_sets_offline_whom_it_had_left_online(
    database: Database, people: list[int]
) -> None:
    store = PresenceStore(database, "a")
    await store.begin(NOW_MS)
    await store.save([Seen(user_id, True, NOW_MS) for user_id in people])
    assert await store.beat(LATER_MS)
    # It is killed, and starts again.
    await PresenceStore(database, "a").begin(LATER_MS + 1_000_000)
    assert not any([await is_online(database, user_id) for user_id in people])
    assert await last_seen(database, people[0]) == at(LATER_MS)  # when it was alive last


async def test_the_others_clear_up_after_a_node_that_never_comes_back(
    database: Database, people: list[int]
) -> None:
    dead, living = PresenceStore(database, "a"), PresenceStore(database, "b")
    await dead.begin(NOW_MS)
    await living.begin(NOW_MS)
    ada, bob, *_ = people
    await dead.save([Seen(ada, True, NOW_MS), Seen(bob, True, NOW_MS)])
    await living.save([Seen(bob, True, NOW_MS)])
    await living.beat(DEAD_MS - 2)
    assert await is_online(database, ada)
    await living.beat(DEAD_MS)
    assert not await is_online(database, ada)
    assert await is_online(database, bob)
    assert not await dead.beat(DEAD_MS + 1)  # it was only slow: it is told to save everybody again
    await dead.save([Seen(ada, True, DEAD_MS)])
    assert await is_online(database, ada)


async def test_a_node_that_stops_leaves_nothing_behind(database: Database, people: list[int]) -> None:
    store = PresenceStore(database, "a")
    await store.begin(NOW_MS)
    await store.save([Seen(user_id, True, NOW_MS) for user_id in people])
    await store.end()
    assert not any([await is_online(database, user_id) for user_id in people])
    counts = [select(func.count()).select_from(table) for table in (online_users, presence_nodes)]
    found = await database.read(lambda connection: [connection.scalar(count) for count in counts])
    assert found == [0, 0]


async def test_two_nodes_that_write_of_the_same_users_at_once_end_in_the_truth(
    database: Database, other_database: Database, people: list[int]
) -> None:
    first, second = PresenceStore(database, "a"), PresenceStore(other_database, "b")
    await first.begin(NOW_MS)
    await second.begin(NOW_MS)
    for _ in range(10):
        await first.save([Seen(user_id, True, NOW_MS) for user_id in people])
        await asyncio.gather(
            first.save([Seen(user_id, False, LATER_MS) for user_id in people]),
            second.save([Seen(user_id, True, LATER_MS) for user_id in reversed(people)]),
        )
        assert all([await is_online(database, user_id) for user_id in people])
        await second.save([Seen(user_id, False, LATER_MS) for user_id in people])
        assert not any([await is_online(database, user_id) for user_id in people])


async def test_who_wants_to_be_invisible_is_remembered(database: Database, people: list[int]) -> None:
    store = PresenceStore(database, "a")
    await store.begin(NOW_MS)
    await store.set_invisible(people[1], is_invisible=True)
    await store.set_invisible(10**12, is_invisible=True)
    assert (await store.of(people))[people[1]].is_invisible
    assert await PresenceStore(database, "a").begin(LATER_MS) == {people[1]}
    await store.set_invisible(people[1], is_invisible=False)
    assert await PresenceStore(database, "a").begin(LATER_MS) == frozenset()


async def test_users_who_are_not_there_are_left_out(database: Database, people: list[int]) -> None:
    store = PresenceStore(database, "a")
    assert await store.of([987_654, 10**12, -1]) == {}


async def test_people_of_a_project_are_those_of_its_parts_too(database: Database, people: list[int]) -> None:
    projects, memberships = Projects(database), Memberships(database)
    ada, bob, eve, joe = people
    project = await projects.create_project("Game", created_by=ada)
    chat = await projects.create_chat(project.id, "All")
    workspace = await projects.create_workspace(project.id, "Main")
    elsewhere = await projects.create_project("Other", created_by=joe)
    await memberships.set_role(f"chat:{chat.id}", bob, 1, set_by=ada)
    await memberships.set_role(f"workspace:{workspace.id}", bob, 1, set_by=ada)
    await memberships.set_role(f"project:{project.id}", eve, 0, set_by=ada)
    store = PresenceStore(database, "a")
    assert await store.people_of(project.id, limit=10) == [ada, bob]
    assert await store.people_of(project.id, limit=1) == [ada]
    assert await store.people_of(project.id, limit=1, after=ada) == [bob]
    assert await store.people_of(elsewhere.id, limit=10) == [joe]
    assert await store.people_of(10**12, limit=10) == []
