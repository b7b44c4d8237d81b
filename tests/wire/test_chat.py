"""A chat, of which Yjs clients and JSON clients see the same at the same time."""

import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from pycrdt import Array, Doc, Map
from websockets.asyncio.client import ClientConnection, connect

from auth.grants import Role
from server.protocol.yjs_messages import sync_step_2, update_message
from tests.wire.client import WireClient
from tests.wire.conftest import RunningServer, run_server
from tests.wire.test_acknowledgement import Disk, disk, slow_server

__all__ = ["disk", "slow_server"]  # fixtures

ROOM = "chat:5"
SENT_AT = "2026-01-01T00:00:00Z"


class JsonClient:
    """One connection to /events; `events` are those that answer nothing."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.events: list[dict[str, Any]] = []
        self.user_id = 0

    async def begin(self, kind: str, **payload: object) -> None:
        """Send an event, and go on."""
        await self._connection.send(json.dumps({"type": kind, "payload": payload, "id": str(uuid.uuid4())}))

    async def ask(self, kind: str, **payload: object) -> dict[str, Any]:
        """Send an event; what answers it."""
        event_id = str(uuid.uuid4())
        await self._connection.send(json.dumps({"type": kind, "payload": payload, "id": event_id}))
        while True:
            event = await self._receive()
            if event.get("id") == event_id:
                return event
            self.events.append(event)

    async def done(self, kind: str, **payload: object) -> dict[str, Any]:
        """The payload of the ack."""
        answer = await self.ask(kind, **payload)
        assert answer["type"] == "ack", answer
        return dict(answer["payload"])

    async def refused(self, kind: str, **payload: object) -> str:
        """The code of the error."""
        answer = await self.ask(kind, **payload)
        assert answer["type"] == "error", answer
        return str(answer["payload"]["code"])

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event of which it holds."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if holds(event):
                    return event
            seen = len(self.events)
            self.events.append(await self._receive())

    async def message(self, body: str) -> dict[str, Any]:
        """The payload of the message that says this."""
        event = await self.until(lambda each: each["type"] == "message" and each["payload"]["body"] == body)
        return dict(event["payload"])

    async def _receive(self) -> dict[str, Any]:
        with anyio.fail_after(10):
            return dict(json.loads(await self._connection.recv()))


class YjsClient:
    """A replica of the thread, as a stock client has one."""

    def __init__(self, client: WireClient, user_id: int) -> None:
        self.client = client
        self.user_id = user_id
        self.doc: Doc[Any] = Doc()
        self.messages = self.doc.get("messages", type=Array)
        self._updates: list[bytes] = []
        self._subscription = self.doc.observe(lambda event: self._updates.append(event.update))

    def compose(self, body: str, **fields: object) -> bytes:
        """Write a message; the update."""
        message = {"id": str(uuid.uuid4()), "sender_id": self.user_id, "body": body, "sent_at": SENT_AT}
        with self.doc.transaction():
            self.messages.append(Map(message | fields))
        return self._updates[-1]

    async def send(self, update: bytes) -> None:
        await self.client.send(update_message(update))

    async def pull(self) -> list[dict[str, Any]]:
        """All messages, in the order of the array."""
        self.doc.apply_update(await self.client.sync(self.doc.get_state()))
        return [dict(message.to_py()) for message in self.messages]

    async def until(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        with anyio.fail_after(10):
            while not holds(messages := await self.pull()):
                await anyio.sleep(0.02)
        return messages


class Chat:
    """People of one chat."""

    def __init__(self, server: RunningServer, stack: AsyncExitStack) -> None:
        self.server = server
        self._stack = stack

    async def json(self, user: str, *, role: Role = Role.EDITOR, **join: object) -> JsonClient:
        """Somebody in the room."""
        url = f"{self.server.url}/events?token={self.server.token(user, role)}"
        client = JsonClient(await self._stack.enter_async_context(connect(url, close_timeout=0.5)))
        client.user_id = (await client.done("connect"))["user_id"]
        await client.done("join_room", room=ROOM, **join)
        return client

    async def yjs(self, user: str) -> YjsClient:
        user_id = (await self.json(user)).user_id
        client = YjsClient(await self.server.client(user, room=ROOM), user_id)
        await client.pull()
        return client


@pytest.fixture
async def chat(server: RunningServer) -> AsyncIterator[Chat]:
    async with AsyncExitStack() as stack:
        yield Chat(server, stack)


async def send(client: JsonClient, body: str, **payload: object) -> dict[str, Any]:
    return await client.done("message", **({"room": ROOM, "id": str(uuid.uuid4()), "body": body} | payload))


async def test_what_json_clients_say_stands_in_the_document_with_its_place(chat: Chat) -> None:
    alice, bob, carol = await chat.json("alice"), await chat.json("bob"), await chat.yjs("carol")
    answer = await send(alice, "hello")
    assert (answer["seq"], answer["status"]) == (1, "sent")
    assert (await bob.message("hello"))["id"] == answer["id"]
    [message] = await carol.until(lambda messages: bool(messages) and "seq" in messages[0])
    assert (message["id"], message["sender_id"], message["body"]) == (answer["id"], alice.user_id, "hello")
    assert message["seq"] == 1
    assert message["server_time"] == answer["server_time"]


async def test_what_yjs_clients_write_is_told_to_json_clients_once_it_is_committed(chat: Chat) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    await carol.send(carol.compose("hello"))
    message = await alice.message("hello")
    assert message["seq"] == 1
    [stored] = await carol.until(lambda messages: "seq" in messages[0])
    assert stored["id"] == message["id"]


async def test_a_message_that_is_sent_again_is_the_same_message(chat: Chat) -> None:
    alice, message_id = await chat.json("alice"), str(uuid.uuid4())
    answers = [await send(alice, "hello", id=message_id) for _ in range(3)]
    again = await chat.json("alice")
    answers.append(await send(again, "hello", id=message_id))
    assert {answer["seq"] for answer in answers} == {1}
    assert (await send(alice, "next"))["seq"] == 2


async def test_a_forged_sender_is_refused_and_the_next_message_is_not(chat: Chat) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    await carol.send(carol.compose("forged", sender_id=alice.user_id))
    await carol.send(carol.compose("honest"))
    assert (await alice.message("honest"))["seq"] == 1
    await carol.client.until(lambda: bool(carol.client.denials()))
    assert "sender_id" in carol.client.denials()[0]
    assert not any(event["payload"].get("body") == "forged" for event in alice.events)
    await carol.until(lambda messages: [message["body"] for message in messages] == ["honest"])


async def test_who_was_offline_brings_all_that_was_written_meanwhile(chat: Chat) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    for number in range(500):
        carol.compose(f"message {number}")
    await carol.client.send(sync_step_2(carol.doc.get_update()))
    assert (await alice.message("message 499"))["seq"] == 500
    told = [event["payload"] for event in alice.events if event["type"] == "message"]
    assert [(each["seq"], each["body"]) for each in told] == [
        (number + 1, f"message {number}") for number in range(500)
    ]


async def test_edits_and_deletions_of_ones_own_are_told_and_others_are_refused(chat: Chat) -> None:
    alice, bob, carol = await chat.json("alice"), await chat.json("bob"), await chat.yjs("carol")
    message_id = (await send(alice, "helo"))["id"]
    await alice.done("message", room=ROOM, id=message_id, action="edit", body="hello")
    edited = await bob.message("hello")
    assert (edited["action"], edited["seq"]) == ("edit", 1)
    assert await bob.refused("message", room=ROOM, id=message_id, action="edit", body="x") == "not_found"
    [message] = await carol.until(lambda messages: messages[0]["body"] == "hello")
    await alice.done("message", room=ROOM, id=message_id, action="delete")
    gone = await bob.until(lambda event: event["payload"].get("action") == "delete")
    assert (gone["payload"]["deleted"], gone["payload"]["body"]) == (True, "")
    [message] = await carol.until(lambda messages: messages[0].get("deleted") is True)
    assert message["body"] == ""
    refused = await alice.refused("message", room=ROOM, id=message_id, action="edit", body="back")
    assert refused == "conflict"


async def test_reactions_are_told_and_taken_back(chat: Chat) -> None:
    alice, bob = await chat.json("alice"), await chat.json("bob")
    message_id = (await send(alice, "hello"))["id"]
    await bob.done("message", room=ROOM, id=message_id, action="react", reaction="🎉")
    told = await alice.until(lambda event: event["payload"].get("action") == "react")
    assert (told["sender_id"], told["payload"]["reaction"]) == (bob.user_id, "🎉")
    await bob.done("message", room=ROOM, id=message_id, action="unreact", reaction="🎉")
    await alice.until(lambda event: event["payload"].get("action") == "unreact")


async def test_what_is_read_is_told_to_all_and_stands_in_the_document(chat: Chat) -> None:
    alice, bob, carol = await chat.json("alice"), await chat.json("bob"), await chat.yjs("carol")
    for body in ("one", "two", "three"):
        await send(alice, body)
    answer = await bob.done("message_read", room=ROOM, seq=2)
    assert (answer["read_seq"], answer["unread"]) == (2, 1)
    told = await alice.until(lambda event: event["type"] == "message_status")
    assert told["payload"]["statuses"] == [{"user_id": bob.user_id, "status": "read", "seq": 2}]
    assert (await bob.done("message_read", room=ROOM, seq=1))["read_seq"] == 2
    assert (await bob.done("message_read", room=ROOM, seq=99))["read_seq"] == 3
    receipts = carol.doc.get("receipts", type=Map)
    with anyio.fail_after(5):
        while str(bob.user_id) not in receipts.to_py():
            await carol.pull()
            await anyio.sleep(0.05)
    assert receipts.to_py()[str(bob.user_id)]["read_seq"] >= 2


async def test_who_comes_back_hears_what_was_missed_in_order_and_once(chat: Chat) -> None:
    alice, bob = await chat.json("alice"), await chat.json("bob")
    seen = (await send(alice, "one"))["event_seq"]
    await bob.message("one")
    for body in ("two", "three"):
        await send(alice, body)
    again = await chat.json("bob", last_seq=seen)
    await send(alice, "four")
    await again.message("four")
    bodies = [event["payload"]["body"] for event in again.events if event["type"] == "message"]
    assert bodies == ["two", "three", "four"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.COMMENTER])
async def test_a_viewer_reads_and_a_commenter_writes(chat: Chat, role: Role) -> None:
    alice, eve = await chat.json("alice"), await chat.json("eve", role=role)
    await send(alice, "hello")
    await eve.message("hello")
    answer = await eve.ask("message", room=ROOM, id=str(uuid.uuid4()), body="hi")
    assert answer["type"] == ("ack" if role is Role.COMMENTER else "error")


async def test_messages_survive_the_server_and_go_on_counting(tmp_path: Path) -> None:
    for number in (1, 2):
        async with run_server(tmp_path) as server, AsyncExitStack() as stack:
            alice = await Chat(server, stack).json("alice", last_seq=0)
            assert (await send(alice, f"run {number}"))["seq"] == number
            await alice.message("run 1")


async def test_a_user_writes_so_many_messages_a_minute(tmp_path: Path) -> None:
    async with (
        run_server(tmp_path, max_chat_messages_per_minute_per_user=2) as server,
        AsyncExitStack() as stack,
    ):
        chat = Chat(server, stack)
        alice, bob = await chat.json("alice"), await chat.json("bob")
        for body in ("one", "two"):
            await send(alice, body)
        answer = await alice.ask("message", room=ROOM, id=str(uuid.uuid4()), body="three")
        assert answer["payload"]["code"] == "rate_limited"
        assert "max_chat_messages_per_minute_per_user" in answer["payload"]["reason"]
        await send(bob, "four")


async def test_nobody_writes_in_the_name_of_others_after_a_crash(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        alice, carol = await Chat(server, stack).json("alice"), await Chat(server, stack).yjs("carol")
        await carol.send(carol.compose("honest"))
        await alice.message("honest")
        await carol.client.sync()
    (tmp_path / "running").touch()  # as a server leaves it that was killed
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        alice, ben = await Chat(server, stack).json("alice"), await Chat(server, stack).yjs("ben")
        forger: Doc[Any] = Doc(client_id=carol.doc.client_id)
        forger.apply_update(ben.doc.get_update())
        forged = {"id": str(uuid.uuid4()), "sender_id": carol.user_id, "body": "forged", "sent_at": SENT_AT}
        forger.get("messages", type=Array).append(Map(forged))
        await ben.client.send(sync_step_2(forger.get_update()))
        await send(alice, "after")
        await ben.until(lambda messages: [each["body"] for each in messages] == ["honest", "after"])
        assert ben.client.denials()


async def test_what_is_said_is_shown_to_nobody_before_it_is_saved(
    slow_server: RunningServer, disk: Disk
) -> None:
    async with AsyncExitStack() as stack:
        chat = Chat(slow_server, stack)
        alice, carol, ben = await chat.json("alice"), await chat.yjs("carol"), await chat.yjs("ben")
        await send(alice, "saved")
        await ben.until(lambda messages: len(messages) == 1)
        heard = len(ben.client.updates())
        disk.stall()
        await carol.send(carol.compose("by carol"))
        await disk.wait_append_begun()
        await alice.begin("message", room=ROOM, id=str(uuid.uuid4()), body="by alice")
        await alice.ask("ping")
        await carol.client.show(carol.doc.client_id, 1, b'{"n":1}')
        shown = carol.doc.client_id
        await ben.client.until(lambda: any(each.client_id == shown for each in ben.client.awareness()))
        assert not any(b"by " in update for update in ben.client.updates()[heard:])
        disk.running.set()
        for said in (b"by carol", b"by alice"):
            await ben.client.until(lambda said=said: any(said in each for each in ben.client.updates()))  # type: ignore[misc]


async def test_a_message_that_cannot_be_stored_is_refused_at_once(
    slow_server: RunningServer, disk: Disk
) -> None:
    async with AsyncExitStack() as stack:
        alice = await Chat(slow_server, stack).json("alice")
        await send(alice, "saved")
        disk.broken = True
        with anyio.fail_after(10):
            assert (
                await alice.refused("message", room=ROOM, id=str(uuid.uuid4()), body="lost") == "unavailable"
            )


async def test_json_clients_write_no_times_and_replies_that_yjs_clients_may_not(chat: Chat) -> None:
    alice = await chat.json("alice")
    for payload in ({"sent_at": "nonsense"}, {"reply_to": "no id"}):
        message = {"room": ROOM, "id": str(uuid.uuid4()), "body": "x"} | payload
        assert await alice.refused("message", **message) == "invalid_payload"


async def test_what_a_message_answers_is_settled_once_it_is_sent(chat: Chat) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    await carol.send(carol.compose("hello"))
    await alice.message("hello")
    with carol.doc.transaction():
        carol.messages[0]["reply_to"] = str(uuid.uuid4())
    await carol.send(carol.doc.get_update())
    await carol.client.until(lambda: bool(carol.client.denials()))
    assert "reply_to" in carol.client.denials()[0]
    await carol.until(lambda messages: messages[0].get("reply_to") is None)


async def test_receipts_that_the_document_was_not_told_in_time_are_in_it_after_a_restart(
    tmp_path: Path,
) -> None:
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        chat = Chat(server, stack)
        alice, bob = await chat.json("alice"), await chat.json("bob")
        await send(alice, "hello")
        await bob.done("message_read", room=ROOM, seq=1)
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        carol = await Chat(server, stack).yjs("carol")
        held = carol.doc.get("receipts", type=Map).to_py()
        assert held == {str(bob.user_id): {"delivered_seq": 1, "read_seq": 1}}
