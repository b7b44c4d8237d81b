"""Tickets: good once, for a while, wherever they are brought."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from crdt_store import tickets as tickets_module
from crdt_store.engine import Conflict, Database, create_engine
from crdt_store.tables import tickets as tickets_table
from crdt_store.tickets import Tickets
from crdt_store.update_log import LogUnavailable

NOW = 1_764_000_000.5
LATER = NOW + 30
CLAIMS = '{"sub": "ada", "room": "chat:7", "name": "Ådá 🦄"}'


@pytest.fixture
def tickets(database: Database) -> Tickets:
    return Tickets(database)


async def keep(tickets: Tickets, digest: bytes, *, until: float = LATER, now: float = NOW) -> None:
    await tickets.keep(digest, CLAIMS, expires_at_seconds=until, now_seconds=now)


async def kept(database: Database) -> int:
    query = select(func.count()).select_from(tickets_table)
    return await database.read(lambda connection: connection.execute(query).scalar_one())


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[list[Database]]:
    """Several nodes on one database."""
    databases = [create_engine(database_url) for _ in range(3)]
    yield databases
    for database in databases:
        await database.close()


async def test_a_ticket_is_good_once(tickets: Tickets, database: Database) -> None:
    await keep(tickets, b"\0a")
    await keep(tickets, b"\0b")
    assert await tickets.take(b"\0a", now_seconds=NOW) == CLAIMS
    assert await tickets.take(b"\0a", now_seconds=NOW) is None
    assert await tickets.take(b"\0b", now_seconds=LATER - 0.01) == CLAIMS
    assert await kept(database) == 0


async def test_what_is_no_ticket_gets_nothing_and_spends_none(tickets: Tickets) -> None:
    await keep(tickets, b"digest")
    for other in (b"", b"digesu", b"digest\0", b"DIGEST", bytes(10_000)):
        assert await tickets.take(other, now_seconds=NOW) is None
    assert await tickets.take(b"digest", now_seconds=NOW) == CLAIMS


@pytest.mark.parametrize("late", [0.0, 0.001, 1e9])
async def test_an_expired_ticket_gets_nothing_and_is_gone(
    tickets: Tickets, database: Database, late: float
) -> None:
    await keep(tickets, b"digest")
    assert await tickets.take(b"digest", now_seconds=LATER + late) is None
    assert await kept(database) == 0


async def test_a_new_ticket_sweeps_some_of_the_expired_ones_away(
    tickets: Tickets, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets_module, "_EXPIRED_PER_TICKET", 2)
    for number in range(3):
        await keep(tickets, b"old %d" % number, until=NOW + 1)
    await keep(tickets, b"good", until=NOW + 100)
    assert await kept(database) == 4
    await keep(tickets, b"new 1", now=NOW + 2)
    assert await kept(database) == 3  # one of the old
    await keep(tickets, b"new 2", now=NOW + 2)
    assert await kept(database) == 3
    for digest in (b"good", b"new 1", b"new 2"):
        assert await tickets.take(digest, now_seconds=NOW + 2) == CLAIMS


async def test_there_are_no_two_tickets_of_one_digest(tickets: Tickets) -> None:
    await keep(tickets, b"digest")
    with pytest.raises(Conflict):
        await tickets.keep(b"digest", "others", expires_at_seconds=LATER, now_seconds=NOW)
    assert await tickets.take(b"digest", now_seconds=NOW) == CLAIMS


async def test_of_many_who_take_it_at_once_on_several_nodes_one_gets_it(databases: list[Database]) -> None:
    nodes = [Tickets(database) for database in databases]
    for number in range(10):
        digest = b"digest %d" % number
        await keep(nodes[0], digest)
        taken = await asyncio.gather(
            *(node.take(digest, now_seconds=NOW) for node in nodes for _ in range(3))
        )
        assert sorted(each is None for each in taken) == [False] + [True] * 8


async def test_many_who_sweep_at_once_do_not_wait_for_each_other_in_a_circle(
    databases: list[Database],
) -> None:
    nodes = [Tickets(database) for database in databases]
    for number in range(20):
        await keep(nodes[0], b"old %d" % number)
    await asyncio.gather(
        *(
            keep(node, b"new %d %d" % (index, number), until=LATER + 100, now=LATER)
            for index, node in enumerate(nodes)
            for number in range(4)
        )
    )
    assert await kept(databases[0]) == 12


async def test_a_ticket_outlives_the_server_that_gave_it(database_url: str) -> None:
    first = create_engine(database_url)
    await keep(Tickets(first), b"digest")
    await first.close()
    with pytest.raises(LogUnavailable):
        await Tickets(first).take(b"digest", now_seconds=NOW)
    second = create_engine(database_url)
    assert await Tickets(second).take(b"digest", now_seconds=NOW) == CLAIMS
    await second.close()
