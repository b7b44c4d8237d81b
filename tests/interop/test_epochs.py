"""A document is deleted and made anew, or restored, while stock clients that hold the old one are away.

Yjs merges whatever shares a name: what two replicas wrote apart stands in the text twice. Here it does not.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from tests.documents_client import DocumentsClient, documents_client
from tests.interop.node_client import HERE, NodeClient, NodeDriver, ProviderVersion
from tests.server_process import ServerProcess

VERSIONS: tuple[ProviderVersion, ...] = ("1.5", "2", "3")
HISTORY_CHANGED, SERVICE_RESTART = 4409, 1012
RETURNS = 3  # of a client that comes back by itself

_READ_WITH_YJS = """
import * as Y from 'yjs'
const doc = new Y.Doc()
for (const update of process.argv.slice(1)) Y.applyUpdate(doc, Buffer.from(update, 'base64'))
process.stdout.write(doc.getText('content').toString())
"""

Join = Callable[..., Awaitable[NodeClient]]


@pytest.fixture
async def api(server: ServerProcess, room: str) -> AsyncIterator[DocumentsClient]:
    token = await server.token("root", role="admin")
    async with documents_client(server.url, token, room) as api:
        yield api


@pytest.fixture
def join(server: ServerProcess, driver: NodeDriver, room: str) -> Join:
    """`await join("alice")`: a synced client in this test's room."""

    async def join(name: str, **options: Any) -> NodeClient:
        token = await server.token(name)
        client = await driver.connect(server.websocket_url, room, name=name, token=token, **options)
        return await client.synced()

    return join


async def yjs_text(*updates: bytes) -> str:
    """What stock Yjs, and nothing else, makes of these updates."""
    texts = [b64encode(update).decode() for update in updates]
    command = ["node", "--input-type=module", "-e", _READ_WITH_YJS, *texts]
    return (await anyio.run_process(command, cwd=HERE)).stdout.decode()


async def leave_and_write(client: NodeClient, text: str) -> None:
    """Go offline when all is saved, and write at the end."""
    await client.wait_confirmed()
    await client.disconnect()
    await client.insert(len(await client.text()), text)


async def come_back_in_vain(client: NodeClient, version: ProviderVersion) -> None:
    """Until it was told that the history has changed: once, or several times where it does not heed that."""
    seen = await client.events()
    await client.reconnect()
    reader = _Closings(client, len(seen))
    await reader.until(HISTORY_CHANGED)
    if version == "3":
        assert not (await client.stats()).should_connect
    else:
        for _ in range(RETURNS):
            await reader.until(HISTORY_CHANGED)


class _Closings:
    """Reads a client's closings one after another."""

    def __init__(self, client: NodeClient, position: int = 0) -> None:
        self._client = client
        self._position = position

    async def until(self, code: int) -> None:
        """The next one with this code."""
        closed = None
        while closed != code:
            await self._client.wait_event("connection-close", after=self._position)
            events = (await self._client.events())[self._position :]
            index = next(i for i, event in enumerate(events) if event["name"] == "connection-close")
            self._position += index + 1
            closed = events[index]["code"]


async def heard_of_content(client: NodeClient) -> int:
    """How many messages with content the client was sent."""
    received = (await client.stats()).received
    return received.get("syncStep2", 0) + received.get("update", 0)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_was_made_anew_is_not_doubled_by_a_client_that_held_it(
    join: Join, api: DocumentsClient, version: ProviderVersion
) -> None:
    alice, dave = await join("alice", version=version), await join("dave")
    await alice.insert(0, "the same text")
    await dave.wait_text("the same text")
    await leave_and_write(alice, ", written offline")
    await dave.disconnect()
    await api.delete()
    bob = await join("bob")
    assert await bob.text() == ""
    await bob.insert(0, "the same text")
    await bob.wait_confirmed()

    heard = await heard_of_content(alice)
    await come_back_in_vain(alice, version)
    assert await heard_of_content(alice) == heard
    assert await alice.text() == "the same text, written offline"
    for reader in (bob, await join("carol")):
        assert await reader.text() == "the same text"

    # Kept once, and what stock Yjs would have made of it.
    (stale_id,) = await api.stale_ids()
    stale = await api.stale_update(stale_id)
    assert await yjs_text(stale) == "the same text, written offline"
    doubled = await yjs_text(stale, await api.copy())
    assert doubled.count("the same text") == 2

    # Merged on demand: as an ordinary edit, after which whoever held the old content is welcome.
    await api.merge(stale_id)
    await bob.wait_text(doubled)
    for returning in (alice, dave):
        await returning.reconnect()
        await returning.wait_text(doubled)
    await alice.insert(0, "at home again: ")
    await alice.wait_confirmed()
    for reader in (bob, dave, await join("erin")):
        await reader.wait_text("at home again: " + doubled)
    assert await api.stale_ids() == []


async def test_what_is_discarded_never_comes(join: Join, api: DocumentsClient) -> None:
    alice = await join("alice")
    await alice.insert(0, "old")
    await leave_and_write(alice, " and older")
    await api.delete()
    bob = await join("bob")
    await bob.insert(0, "new")
    await bob.wait_confirmed()
    await come_back_in_vain(alice, "3")
    (stale_id,) = await api.stale_ids()
    await api.discard(stale_id)
    assert await api.stale_ids() == []
    assert await bob.text() == "new"
    assert await yjs_text(await api.copy()) == "new"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_restored_document_takes_offline_words_in_once(
    join: Join, api: DocumentsClient, version: ProviderVersion
) -> None:
    alice, bob, dave = await join("alice", version=version), await join("bob"), await join("dave")
    await bob.insert(0, "one two three")
    for client in (alice, dave):
        await client.wait_text("one two three")
    await leave_and_write(alice, " offline")
    copy = await api.copy()
    await bob.delete(4, 4)
    await bob.wait_confirmed()
    await dave.wait_text("one three")

    closings = [_Closings(client, len(await client.events())) for client in (bob, dave)]
    assert await api.restore(copy) == 2
    for closing in closings:  # told to come back, and then that it is another document
        await closing.until(SERVICE_RESTART)
        await closing.until(HISTORY_CHANGED)
    reader = await join("reader")
    assert await reader.text() == "one two three"

    kept_before = await api.stale_ids()
    await come_back_in_vain(alice, version)
    assert await reader.text() == "one two three"  # what was deleted since the copy stays restored
    (stale_id,) = set(await api.stale_ids()) - set(kept_before)
    assert await yjs_text(await api.stale_update(stale_id)) == "one two three offline"
    await api.merge(stale_id)
    await reader.wait_text("one two three offline")
    assert await yjs_text(await api.copy()) == "one two three offline"


async def test_what_live_clients_were_typing_when_it_was_restored_is_kept_aside(
    join: Join, api: DocumentsClient
) -> None:
    alice = await join("alice")
    await alice.insert(0, "a beginning")
    await alice.wait_confirmed()
    copy = await api.copy()
    await alice.start_typing(seed=7)
    await alice.wait_confirmed(20)
    closing = _Closings(alice)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(api.restore, copy)
        await closing.until(SERVICE_RESTART)
    await closing.until(HISTORY_CHANGED)
    await alice.stop_typing()
    await alice.reconnect()  # what was typed after she had brought what she had
    await closing.until(HISTORY_CHANGED)

    written = await alice.text()
    assert any(not typed.is_insertion_confirmed for typed in await alice.typed())
    assert written in [await yjs_text(await api.stale_update(stale_id)) for stale_id in await api.stale_ids()]
    reader = await join("reader")
    assert await reader.text() == "a beginning"


@pytest.mark.parametrize("version", VERSIONS)
async def test_who_knows_only_the_new_epoch_never_is_stale(
    join: Join, api: DocumentsClient, version: ProviderVersion
) -> None:
    bob = await join("bob")
    await bob.insert(0, "one")
    await bob.wait_confirmed()
    await bob.disconnect()
    await api.restore(await api.copy())

    alice, carol = await join("alice", version=version), await join("carol")
    assert await alice.text() == "one"
    await leave_and_write(alice, " two")
    await carol.insert(0, "zero ")
    await carol.wait_confirmed()
    await alice.reconnect()
    for client in (alice, carol):
        await client.wait_text("zero one two")
    await alice.wait_confirmed()
    assert await api.stale_ids() == []
