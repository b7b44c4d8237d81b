"""Stock y-websocket providers, unchanged from npm, meet through the server."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from tests.interop.node_client import ClientError, NodeClient, NodeDriver, ProviderVersion, node_driver
from tests.server_process import ServerProcess

QUIET_SECONDS = float(os.environ.get("COSTUDIO_TEST_QUIET_SECONDS", "60"))
# What y-websocket takes at the longest to notice a silence: a departure seen earlier was told by the server.
AWARENESS_TIMEOUT_SECONDS = 30.0
VERSIONS: tuple[ProviderVersion, ...] = ("1.5", "2", "3")

QUIET_PEOPLE = ("alice", "bob", "carol")

Join = Callable[..., Awaitable[NodeClient]]


@dataclass(frozen=True)
class QuietClients:
    """Three people in one room who do nothing, `until` a moment on the event loop's clock."""

    clients: list[NodeClient]
    until: float


@pytest.fixture(scope="module", autouse=True)
async def quiet_clients(server: ServerProcess) -> AsyncIterator[QuietClients]:
    """Their minute passes while the other tests of this module run."""
    async with node_driver() as driver:
        clients = []
        for name in QUIET_PEOPLE:
            token = await server.token(name)
            client = await driver.connect(server.websocket_url, "tests/quiet", name=name, token=token)
            clients.append(await client.synced())
        for client in clients:
            await client.wait_present(*QUIET_PEOPLE)
        yield QuietClients(clients, until=anyio.current_time() + QUIET_SECONDS)


@pytest.fixture
def join(server: ServerProcess, driver: NodeDriver, room: str) -> Join:
    """`await join("alice")`: a synced client in this test's room."""

    async def join(name: str, in_driver: NodeDriver = driver, **options: Any) -> NodeClient:
        token = await server.token(name)
        client = await in_driver.connect(server.websocket_url, room, name=name, token=token, **options)
        return await client.synced()

    return join


async def test_what_one_types_the_other_reads(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.insert(0, "Hello, мир 🌍")
    await bob.wait_text("Hello, мир 🌍")
    await bob.delete(5, 5)
    await alice.wait_text("Hello 🌍")


async def test_an_author_hears_that_each_edit_is_saved(join: Join) -> None:
    alice = await join("alice")
    for index, character in enumerate("saved"):
        await alice.insert(index, character)
    await alice.delete(0, 1)
    await alice.wait_confirmed()
    assert (await alice.stats()).confirmed == 6


async def test_a_late_joiner_reads_everything(join: Join) -> None:
    alice = await join("alice")
    await alice.insert(0, "before you came")
    await alice.wait_confirmed()
    bob = await join("bob")
    assert await bob.text() == "before you came"


async def test_edits_made_offline_merge_on_return(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.insert(0, "one two three")
    await bob.wait_text("one two three")
    await alice.disconnect()
    await alice.delete(0, 4)
    await bob.insert(13, " four")
    await bob.wait_confirmed()
    await alice.reconnect()
    await alice.wait_text("two three four")
    await bob.wait_text("two three four")


async def test_a_severed_client_comes_back_by_itself(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    seen = len(await alice.events())
    await alice.sever()
    await alice.wait_event("connection-close", after=seen)
    await bob.insert(0, "meanwhile")
    await alice.wait_text("meanwhile")


async def test_three_releases_of_the_provider_work_together(join: Join) -> None:
    people = ("alice", "bob", "carol")
    clients = [await join(name, version=version) for name, version in zip(people, VERSIONS, strict=True)]
    expected = ""
    for client in clients:
        await client.insert(0, f"{client.name}, ")
        expected = f"{client.name}, {expected}"
        for reader in clients:
            await reader.wait_text(expected)
    for client in clients:
        await client.wait_confirmed()
        await client.wait_present(*people)


async def test_a_joiner_is_told_at_once_who_is_there(join: Join) -> None:
    await join("alice")
    await join("bob")
    carol = await join("carol")
    await carol.wait_present("alice", "bob", "carol", timeout_seconds=AWARENESS_TIMEOUT_SECONDS / 6)


async def test_what_a_person_shows_reaches_the_others(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.wait_present("alice", "bob")
    await bob.set_awareness({"user": {"name": "bob"}, "cursor": {"anchor": 3}})
    await alice.wait_state(cursor={"anchor": 3})
    await bob.set_awareness(None)
    await alice.wait_present("alice")


async def test_a_name_is_the_tokens_whatever_a_client_says(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await bob.set_awareness({"user": {"name": "alice"}, "cursor": {"anchor": 3}})
    await alice.wait_state(cursor={"anchor": 3})
    await alice.wait_present("alice", "bob")


async def test_a_client_that_vanishes_is_removed_at_once(join: Join) -> None:
    alice = await join("alice")
    async with node_driver() as doomed:
        await join("bob", doomed)
        await alice.wait_present("alice", "bob")
        doomed.kill()
        await alice.wait_present("alice", timeout_seconds=AWARENESS_TIMEOUT_SECONDS / 6)


@pytest.mark.parametrize("token", [None, "", "not a token"])
async def test_a_missing_or_bad_token_ends_it_for_good(
    server: ServerProcess, driver: NodeDriver, room: str, token: str | None
) -> None:
    client = await driver.connect(server.websocket_url, room, name="mallory", token=token)
    closed = await client.wait_event("closed")
    assert closed["code"] == 4401
    assert closed["reason"]
    stats = await client.stats()
    assert not stats.should_connect
    assert not stats.is_synced
    assert stats.received == {"auth": 1}


async def test_a_name_that_is_no_rooms_ends_it_for_good(server: ServerProcess, driver: NodeDriver) -> None:
    token = await server.token("alice")
    client = await driver.connect(server.websocket_url, "chat:not-a-number", name="alice", token=token)
    closed = await client.wait_event("closed")
    assert closed["code"] == 4404
    assert not (await client.stats()).should_connect


async def test_a_reconnecting_client_brings_its_new_token(server: ServerProcess, join: Join) -> None:
    alice = await join("alice")
    await alice.use_token("revoked")
    await alice.sever()
    assert (await alice.wait_event("closed"))["code"] == 4401
    await alice.use_token(await server.token("alice"))
    await alice.insert(0, "written while locked out")
    await alice.reconnect()
    await alice.wait_synced()
    await alice.wait_confirmed()


@pytest.mark.slow
@pytest.mark.timeout(QUIET_SECONDS + 60)
async def test_quiet_clients_are_neither_closed_nor_talked_to_in_circles(quiet_clients: QuietClients) -> None:
    """Stock clients relay everybody's awareness: that is neither news to the server nor an offence."""
    async with anyio.create_task_group() as tasks:
        for client in quiet_clients.clients:
            tasks.start_soon(_stays_connected, client, quiet_clients.until)
    # Each person renews every 15 s, which may come back to its sender; a keep-alive is due every 20 s.
    renewals = len(quiet_clients.clients) * (QUIET_SECONDS / 15 + 2)
    most = 2 * renewals + QUIET_SECONDS / 10 + 20
    for client in quiet_clients.clients:
        await client.wait_present(*QUIET_PEOPLE)
        stats = await client.stats()
        assert stats.is_synced
        assert sum(stats.received.values()) <= most
        assert sum(stats.sent.values()) <= most


async def _stays_connected(client: NodeClient, until: float) -> None:
    seconds = max(0.001, until - anyio.current_time())
    with pytest.raises(ClientError, match="not within"):
        await client.wait_event("connection-close", timeout_seconds=seconds)
