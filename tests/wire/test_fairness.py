"""What is large in one room does not hold up another, and nobody in its own room misses anything."""

import selectors
import socket as sockets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import anyio
import pytest
from anyio import to_thread
from pycrdt import Doc, Text

from auth.grants import Role
from server.protocol.awareness_codec import AwarenessEntry
from server.protocol.closing import CloseCode
from server.protocol.update_shape import check_state_vector
from server.protocol.varint import var_uint
from server.protocol.yjs_messages import sync_step_1, sync_step_2, update_message
from server.rooms.room import Room
from server.transport.connection import Connection
from tests.documents_client import documents_client
from tests.transport.serving import HANDSHAKE
from tests.wire.client import DEADLINE_SECONDS, WireClient, Writer
from tests.wire.conftest import ROOM, RunningServer, run_server
from tests.wire.test_rooms import rooms_of

STRUCTS = 30_000
ELSEWHERE = "workspace:1/elsewhere"

MAX_WAIT_SECONDS = 2.0
"""Generous, for shared machines; who is held up by all that is large waits for as long as that takes."""

T = TypeVar("T")


def of_single_letters(count: int, client_id: int = 7) -> bytes:
    """An update of so many structs, a letter of `content` each, one behind the other."""
    client = var_uint(client_id)
    structs = b"\x04\x01\x07content\x01x" + b"".join(
        b"\x84" + client + var_uint(clock) + b"\x01x" for clock in range(count - 1)
    )
    return b"\x01" + var_uint(count) + client + b"\x00" + structs + b"\x00"


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        while not holds():
            await anyio.sleep(0.001)


def open_room(server: RunningServer) -> Room:
    return rooms_of(server).rooms[ROOM]


class Passerby:
    """Somebody in another room, who makes one edit after another, each as soon as the one before is saved."""

    def __init__(self, client: WireClient) -> None:
        self.waits_seconds: list[float] = []
        self._client = client
        self._is_done = False

    async def edit(self) -> None:
        """Until `stop`."""
        writer = Writer(1_000_000)
        while not self._is_done:
            began = time.monotonic()
            await self._client.edit(writer.type("x"))
            self._client.received.clear()
            self.waits_seconds.append(time.monotonic() - began)

    async def stop(self) -> None:
        """Once another edit has been saved, if none has been: so that what waited counts."""
        await until(lambda: bool(self.waits_seconds))
        self._is_done = True


# Other rooms


async def test_edits_elsewhere_are_saved_while_thirty_thousand_structs_are_taken_in(
    server: RunningServer,
) -> None:
    author = await server.client("mallory")
    passerby = Passerby(await server.client("carol", room=ELSEWHERE))
    before = 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(passerby.edit)
        await until(lambda: len(passerby.waits_seconds) >= 3)
        await author.send(update_message(of_single_letters(STRUCTS)))
        await until(lambda: open_room(server).is_busy)
        before = len(passerby.waits_seconds)
        await author.until(lambda: len(author.updates()) == 1)
        saved_meanwhile = len(passerby.waits_seconds) - before
        await passerby.stop()
    assert saved_meanwhile >= 5
    assert max(passerby.waits_seconds) < MAX_WAIT_SECONDS


class Crowd:
    """Members that read all that comes, in a thread, and only count it."""

    def __init__(self, server: RunningServer, count: int) -> None:
        self.received_bytes = [0] * count
        self._server = server
        self._sockets: list[sockets.socket] = []
        self._selector = selectors.DefaultSelector()

    def connect(self) -> None:
        """Blocks."""
        address = urlsplit(self._server.url)
        path = f"/ws/{quote(ROOM)}?token={quote(self._server.token('bob'))}"
        for index in range(len(self.received_bytes)):
            socket = sockets.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS)
            self._sockets.append(socket)
            socket.sendall(HANDSHAKE.format(path=path).encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += socket.recv(1)
            assert b" 101 " in head
            self._selector.register(socket, selectors.EVENT_READ, index)

    def read(self, each_bytes: int) -> None:
        """Until each has received so much; blocks."""
        buffer = bytearray(2**18)
        while min(self.received_bytes) < each_bytes:
            ready = self._selector.select(DEADLINE_SECONDS)
            assert ready, "the server says no more"
            for key, _ in ready:
                count = key.fileobj.recv_into(buffer)  # type: ignore[union-attr]
                assert count, "the server closed"
                self.received_bytes[key.data] += count

    def close(self) -> None:
        self._selector.close()
        for socket in self._sockets:
            socket.close()


async def test_a_paste_for_fifty_members_does_not_hold_up_another_room(server: RunningServer) -> None:
    paste = Writer(7).type("x" * 5_000_000)
    author, crowd = await server.client("alice"), Crowd(server, 50)
    passerby = Passerby(await server.client("carol", room=ELSEWHERE))
    try:
        await to_thread.run_sync(crowd.connect)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(passerby.edit)
            await until(lambda: len(passerby.waits_seconds) >= 3)
            await author.send(update_message(paste))
            await until(lambda: open_room(server).is_busy)
            before = len(passerby.waits_seconds)
            await to_thread.run_sync(crowd.read, len(paste))
            saved_meanwhile = len(passerby.waits_seconds) - before
            await author.until(lambda: author.heard(paste))
            await passerby.stop()
    finally:
        crowd.close()
    assert saved_meanwhile >= 3
    assert max(passerby.waits_seconds) < MAX_WAIT_SECONDS


# The same room: what comes while it stands still. The thread waits for the test.


@contextmanager
def held_up(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What is done in a thread waits for the event, which the end of the block sets."""
    rooms, go_on = rooms_of(server), threading.Event()
    in_thread = rooms.in_thread

    def wait_first(job: Callable[[], T], size_bytes: int) -> Any:
        def wait_and_do() -> T:
            go_on.wait()
            return job()

        return in_thread(wait_and_do, size_bytes)

    with monkeypatch.context() as patched:
        patched.setattr(rooms, "in_thread", wait_first)
        try:
            yield go_on
        finally:
            go_on.set()


async def stand_still(server: RunningServer, author: WireClient, update: bytes) -> None:
    await author.send(update_message(update))
    await until(lambda: open_room(server).is_busy)


def replica(client: WireClient) -> Doc[Text]:
    """What a stock client has that took in all that came."""
    doc: Doc[Text] = Doc()
    for update in (*client.answers(), *client.updates()):
        doc.apply_update(update)
    return doc


def shown(client: WireClient) -> str:
    return str(replica(client).get("content", type=Text))


LARGE = of_single_letters(2000)


async def test_what_comes_meanwhile_is_taken_in_afterwards_and_told_to_all(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob, carol = await server.client("alice"), await server.client("bob"), await server.client("carol")
    for client in (alice, bob, carol):
        await client.sync()
    with held_up(server, monkeypatch) as go_on:
        await stand_still(server, alice, LARGE)
        his, hers = Writer(8), Writer(9)
        await bob.show(8, 1, b'{"is":"bob"}')
        sent = [his.type("b"), his.type("o"), his.type("b")]
        for update in sent:
            await bob.send(update_message(update))
        await carol.send(update_message(hers.type("carol")))
        elsewhere = await server.client("dave", room=ELSEWHERE)
        await elsewhere.edit(Writer(10).type("x"))
        assert open_room(server).is_busy
        assert len(open_room(server).document.contents.state) == 0
        go_on.set()
        for client in (alice, bob, carol):
            await client.until(lambda client=client: len(shown(client)) == 2000 + 3 + 5)  # type: ignore[misc]
    assert shown(alice) == shown(bob) == shown(carol)
    assert alice.heard(LARGE)
    assert all(bob.heard(update) for update in sent)
    await alice.until(lambda: AwarenessEntry(8, 1, b'{"is":"bob"}') in alice.awareness())
    assert await (await server.client("erin")).text() == shown(alice)


async def test_who_joins_meanwhile_is_greeted_and_synced_afterwards(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await server.client("alice")
    with held_up(server, monkeypatch) as go_on:
        await stand_still(server, alice, LARGE)
        carol = await server.client("carol")
        hers = Writer(9).type("carol")
        await carol.send(sync_step_1(b"\x00"))
        await carol.send(sync_step_2(hers))
        await until(lambda: len(open_room(server).everybody()) == 2)
        go_on.set()
        await carol.until(lambda: len(carol.answers()) == 1 and carol.heard(hers))
    assert [check_state_vector(question) for question in carol.questions()] == [{7: 2000}]
    await carol.until(lambda: len(shown(carol)) == 2005)
    await alice.until(lambda: alice.heard(LARGE) and alice.heard(hers))


def cut(server: RunningServer, user_name: str) -> None:
    """As the sweep does to who does not read: who is paused is not heard, even if it says goodbye."""
    for member in open_room(server).everybody():
        if member.shown_user["name"] == user_name:
            assert isinstance(member, Connection)
            member.abort()


async def test_who_joins_and_leaves_meanwhile_harms_nobody(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await server.client("alice")
    with held_up(server, monkeypatch) as go_on:
        await stand_still(server, alice, LARGE)
        for name in ("carol", "dave"):
            await (await server.client(name)).send(sync_step_1(b"\x00"))
        await until(lambda: len(open_room(server).everybody()) == 3)
        cut(server, "carol")
        assert len(open_room(server).everybody()) == 2
        go_on.set()
        await alice.until(lambda: alice.heard(LARGE))
    await alice.edit(Writer(8).type("more"))


@pytest.mark.parametrize("is_alone", [True, False])
@pytest.mark.parametrize("is_noticed", [True, False])
async def test_what_its_author_did_not_wait_for_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_alone: bool, is_noticed: bool
) -> None:
    async with run_server(tmp_path, room_linger_seconds=0) as server:
        if not is_alone:
            await server.client("bob")
        alice = await server.client("alice")
        with held_up(server, monkeypatch) as go_on:
            await stand_still(server, alice, LARGE)
            room = open_room(server)
            alice.connection.transport.abort()
            if is_noticed:
                cut(server, "alice")
                assert len(room.members) == (not is_alone)
            await (await server.client("dave", room=ELSEWHERE)).edit(Writer(10).type("x"))
            assert rooms_of(server).rooms[ROOM] is room, "a room is not closed while it is worked on"
            go_on.set()
            await until(lambda: len(room.members) == (not is_alone) and not room.is_busy)
        if is_alone:
            await until(lambda: ROOM not in rooms_of(server).rooms)
        assert await (await server.client("carol")).text() == "x" * 2000
    async with run_server(tmp_path) as server:
        assert await (await server.client("carol")).text() == "x" * 2000


async def test_large_updates_follow_one_another_in_one_room(server: RunningServer) -> None:
    clients = [await server.client(f"user {index}") for index in range(4)]
    updates = [of_single_letters(2000, client_id) for client_id in (7, 8, 9, 10)]
    for client, update in zip(clients, updates, strict=True):
        await client.send(update_message(update))
        await client.send(update_message(Writer(100 + clients.index(client)).type("small")))
    for client in clients:
        await client.until(lambda client=client: len(shown(client)) == 4 * 2005)  # type: ignore[misc]
    assert len({shown(client) for client in clients}) == 1


async def test_a_large_update_that_is_malformed_costs_its_author_the_connection_and_nobody_else(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mallory, bob = await server.client("mallory"), await server.client("bob")
    with held_up(server, monkeypatch) as go_on:
        await stand_still(server, mallory, LARGE[:-1])
        hers = Writer(8).type("b")
        await bob.send(update_message(hers))
        go_on.set()
        assert await mallory.close_code() == CloseCode.MALFORMED
        await bob.until(lambda: bob.heard(hers))
    assert await bob.text() == "b"


async def test_a_copy_is_refused_meanwhile_and_whole_afterwards(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await server.client("alice")
    await alice.edit(Writer(8).type("before"))
    async with documents_client(server.url.replace("ws", "http"), server.token(), ROOM) as api:
        with held_up(server, monkeypatch) as go_on:
            await stand_still(server, alice, LARGE)
            assert (await api.request("GET", "copies")).status_code == 503
            assert (await api.request("GET")).status_code == 200
            go_on.set()
            await alice.until(lambda: alice.heard(LARGE))
        doc: Doc[Text] = Doc()
        doc.apply_update(await api.copy())
    assert len(str(doc.get("content", type=Text))) == 2006


async def test_a_document_that_is_deleted_meanwhile_is_gone(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await server.client("alice")
    await alice.edit(Writer(8).type("before"))
    async with documents_client(server.url.replace("ws", "http"), server.token(role=Role.ADMIN), ROOM) as api:
        with held_up(server, monkeypatch) as go_on:
            await stand_still(server, alice, LARGE)
            await api.delete()
            assert await alice.close_code() == CloseCode.SERVICE_RESTART
            go_on.set()
    bob = await server.client("bob")
    assert await bob.text() == ""
    await bob.edit(Writer(9).type("anew"))
    assert await bob.text() == "anew"


async def test_whatever_a_thread_fails_with_the_room_does_not_stand_still(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document may be half changed: everybody is sent away, and comes back to what is stored."""
    alice, bob = await server.client("alice"), await server.client("bob")
    rooms = rooms_of(server)
    in_thread = rooms.in_thread

    def fail() -> None:
        raise MemoryError

    monkeypatch.setattr(rooms, "in_thread", lambda job, size_bytes: in_thread(fail, size_bytes))
    await alice.send(update_message(LARGE))
    assert await alice.close_code() == await bob.close_code() == CloseCode.INTERNAL_ERROR
    await (await server.client("bob")).edit(Writer(8).type("b"))


async def test_members_resumed_after_a_standstill_begin_the_next_one_one_by_one(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = [Writer(100 + index) for index in range(4)]
    updates = [writer.type("x" * 9_000) for writer in writers]
    clients = [await server.client("alice") for _ in writers]
    with held_up(server, monkeypatch):
        for client, update in zip(clients, updates, strict=True):
            await client.send(update_message(update))
        await clients[0].connection.ping()
    for client, update in zip(clients, updates, strict=True):
        await client.until(lambda client=client, update=update: client.heard(update))  # type: ignore[misc]
    assert len(await (await server.client("bob")).text()) == 4 * 9_000
