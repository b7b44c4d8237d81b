"""What the server does to find out how far the Yjs clients of a chat have got, and what it keeps for that."""

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crdt_store.messages import ChatHead
from crdt_store.receipts import Receipt
from crdt_store.update_log import LogUnavailable
from server.chat.receiving import Receiving
from server.news.hub import Hub, Listener, News
from server.rooms.names import RoomName, parse_room_name
from server.rooms.room import Room
from tests.chat.virtual_clock import Clock, clock

__all__ = ["clock"]

CHAT = parse_room_name("chat:7", plain_names_workspace_id=None)


@dataclass(eq=False)
class Client:
    """A connection that writes down with what it is pinged."""

    user_id: int = 1
    room_name: RoomName = CHAT
    has_all: bool = True
    pings: list[bytes] = field(default_factory=list)

    def ping(self, payload: bytes = b"") -> None:
        self.pings.append(payload)


class OpenRoom(Room):
    """One whose disk stands still while `waiting` is a list."""

    def __init__(self) -> None:
        self.members: Any = set()
        self.waiting: list[Callable[[], None]] | None = None

    def when_committed(self, action: Callable[[], None]) -> None:
        if self.waiting is None:
            action()
        else:
            self.waiting.append(action)


class ListeningHub(Hub):
    """Counts those who listen."""

    listeners = 0

    def subscribe(self, room: str, listener: Listener) -> Callable[[], None]:
        end = super().subscribe(room, listener)
        self.listeners += 1

        def end_once() -> None:
            self.listeners -= 1
            end()

        return end_once


class Scene:
    """A chat with one message in it; `marks` are those that were to be stored, each with its future."""

    def __init__(self, clock: Clock) -> None:
        self.hub, self.room, self.last_seq = ListeningHub(), OpenRoom(), 1
        self.marks: list[tuple[int, int, Future[Receipt]]] = []
        self._clock = clock
        rooms = SimpleNamespace(rooms={CHAT.canonical: self.room})
        chats = SimpleNamespace(rooms=rooms, start=self._run)
        self.receiving = Receiving(cast("Any", chats), cast("Any", self), cast("Any", self), self.hub)

    @staticmethod
    def _run(work: Coroutine[Any, Any, None]) -> None:
        with pytest.raises(StopIteration):
            work.send(None)

    async def heads(self, chat_ids: list[int]) -> dict[int, ChatHead]:
        return dict.fromkeys(chat_ids, ChatHead(self.last_seq, 0))

    def note(self, user_id: int, name: RoomName, *, delivered_seq: int) -> Future[Receipt]:
        future: Future[Receipt] = Future()
        self.marks.append((user_id, delivered_seq, future))
        return future

    def said(self) -> list[tuple[int, int]]:
        return [(user_id, seq) for user_id, seq, _ in self.marks]

    def enter(self, client: Client) -> None:
        self.room.members.add(client)
        self.receiving.caught_up(client)

    def send(self) -> None:
        self.last_seq += 1
        payload = {"action": "send", "seq": self.last_seq}
        self.hub.publish(CHAT.canonical, News("message", payload, 1, 0, self.last_seq))

    def rounds(self, count: int = 1) -> None:
        """Let so many end."""
        self._clock.run(self._clock.now_seconds + 1.01 * count)


@pytest.fixture
def scene(clock: Clock) -> Scene:
    return Scene(clock)


def ping_for(seq: int) -> bytes:
    return seq.to_bytes(8)


def test_nobody_is_pinged_who_has_all_or_who_is_behind(scene: Scene) -> None:
    client, behind, gone = Client(1), Client(2, has_all=False), Client(3)
    for each in (client, behind, gone):
        scene.enter(each)
    scene.room.members.discard(gone)
    scene.rounds()
    assert (client.pings, behind.pings, gone.pings) == ([ping_for(1)], [], [])
    scene.receiving.answered(client, client.pings[0])
    assert scene.said() == [(1, 1)]
    scene.receiving.caught_up(client)
    scene.rounds()
    assert client.pings == [ping_for(1)]


def test_a_ping_goes_behind_what_waits_for_the_disk(scene: Scene) -> None:
    client = Client()
    scene.room.waiting = []
    scene.enter(client)
    scene.rounds()
    assert client.pings == []
    for action in scene.room.waiting:
        action()
    assert client.pings == [ping_for(1)]


def test_many_messages_are_one_ping_a_round(scene: Scene) -> None:
    client = Client()
    scene.enter(client)
    for _ in range(50):
        scene.send()
    scene.rounds(2)
    assert client.pings[-1] == ping_for(51)
    assert len(client.pings) <= 2


def test_what_was_not_stored_is_found_out_again(scene: Scene) -> None:
    client = Client()
    scene.enter(client)
    scene.rounds()
    scene.receiving.answered(client, ping_for(1))
    scene.marks[0][2].set_exception(LogUnavailable("the disk is full"))
    scene.send()
    scene.rounds()
    scene.receiving.answered(client, ping_for(1))
    assert scene.said() == [(1, 1), (1, 1)]


def test_nothing_is_kept_of_a_chat_that_no_yjs_client_is_in(scene: Scene) -> None:
    clients = Client(1), Client(2)
    for each in clients:
        scene.enter(each)
    assert scene.hub.listeners == 1
    for each in clients:
        scene.receiving.left(each)
    assert scene.hub.listeners == 0
    scene.rounds()
    assert all(each.pings == [] for each in clients)
