"""Delivered, read and unread, over both protocols: what counts, who is told, and what it adds up to."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import httpx
import pytest

from crdt_store.messages import Messages, Receipt
from server.chat import receiving
from server.protocol.awareness_codec import AwarenessEntry, write_entries
from server.protocol.yjs_messages import awareness_message
from tests.wire.conftest import RunningServer
from tests.wire.test_chat import ROOM, Chat, JsonClient, YjsClient, send

CHAT = 5


@pytest.fixture
async def chat(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Chat]:
    monkeypatch.setattr(receiving, "_ROUND_SECONDS", 0.1)
    async with AsyncExitStack() as stack:
        yield Chat(server, stack)


async def receipts(chat: Chat) -> dict[int, Receipt]:
    """By user."""
    messages: Messages = chat.server.app.state.messages
    return {each.user_id: each for each in await messages.receipts(CHAT)}


async def until_told(client: JsonClient, user_id: int, status: str, seq: int) -> None:
    """Until an event says that this user has got, or read, so much."""
    wanted = {"user_id": user_id, "status": status, "seq": seq}
    await client.until(
        lambda event: event["type"] == "message_status" and wanted in event["payload"]["statuses"]
    )


async def come(chat: Chat, user: str) -> YjsClient:
    """By a Yjs client alone."""
    people = await chat.json(user)
    await people.done("leave_room", room=ROOM)
    client = YjsClient(await chat.server.client(user, room=ROOM), people.user_id)
    await client.pull()
    return client


async def show(client: YjsClient, clock: int, state: bytes) -> None:
    await client.client.show(client.doc.client_id, clock, state)


# Delivered


async def test_a_message_is_delivered_once_the_yjs_client_has_answered_behind_it(chat: Chat) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    await send(alice, "hello")
    assert carol.user_id not in await receipts(chat)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(carol.client.connection.recv)
            await until_told(alice, carol.user_id, "delivered", 1)
    receipt = (await receipts(chat))[carol.user_id]
    assert (receipt.delivered_seq, receipt.read_seq) == (1, 0)


async def test_what_was_said_before_a_yjs_client_came_is_delivered_when_it_has_it(chat: Chat) -> None:
    alice = await chat.json("alice")
    for body in ("one", "two"):
        await send(alice, body)
    carol = await chat.yjs("carol")
    await until_told(alice, carol.user_id, "delivered", 2)


async def test_what_is_queued_and_what_merely_crossed_is_not_delivered(chat: Chat) -> None:
    alice, carol, dave = await chat.json("alice"), await chat.yjs("carol"), await chat.yjs("dave")
    carol.client.connection.transport.pause_reading()
    await send(alice, "hello")
    await show(carol, 1, b'{"typing":true}')  # sent before anything behind the message was read
    await until_told(alice, dave.user_id, "delivered", 1)
    await send(alice, "again")
    await show(carol, 2, b'{"typing":false}')
    await until_told(alice, dave.user_id, "delivered", 2)
    assert carol.user_id not in await receipts(chat)
    carol.client.connection.transport.resume_reading()
    await until_told(alice, carol.user_id, "delivered", 2)


async def test_who_was_never_sent_the_thread_has_not_got_it(chat: Chat) -> None:
    alice, dave = await chat.json("alice"), await chat.yjs("dave")
    user_id = (await chat.json("carol")).user_id
    carol = await chat.server.client("carol", room=ROOM)  # asks for nothing
    await send(alice, "hello")
    await until_told(alice, dave.user_id, "delivered", 1)
    assert user_id not in await receipts(chat)
    await carol.sync()
    await until_told(alice, user_id, "delivered", 1)


async def test_a_client_cannot_claim_what_there_is_not(chat: Chat) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    for payload in (b"", b"x", (9).to_bytes(8), b"\xff" * 8, bytes(9)):
        await carol.client.connection.pong(payload)
    await send(alice, "hello")
    await until_told(alice, carol.user_id, "delivered", 1)
    assert (await receipts(chat))[carol.user_id].delivered_seq == 1


# Read


async def test_a_yjs_client_says_in_its_awareness_what_it_has_read(chat: Chat) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    for body in ("one", "two", "three"):
        await send(alice, body)
    await show(carol, 1, b'{"read_seq":2}')
    await until_told(alice, carol.user_id, "read", 2)
    await show(carol, 2, b'{"read_seq":1}')
    await show(carol, 3, b'{"read_seq":99}')
    await until_told(alice, carol.user_id, "read", 3)
    assert [
        each["seq"]
        for event in alice.events
        if event["type"] == "message_status"
        for each in event["payload"]["statuses"]
        if each["status"] == "read"
    ] == [2, 3]


@pytest.mark.parametrize(
    "state",
    [b'{"read_seq":-1}', b'{"read_seq":true}', b'{"read_seq":1.5}', b'{"read_seq":"1"}', b'"read_seq"'],
)
async def test_what_makes_no_sense_reads_nothing(chat: Chat, state: bytes) -> None:
    alice, carol, dave = await chat.json("alice"), await chat.yjs("carol"), await chat.yjs("dave")
    await send(alice, "hello")
    await show(carol, 1, b'{"x":%s}' % state)
    await show(carol, 2, state if state[:1] == b"{" else b'{"x":"read_seq"}')
    await until_told(alice, carol.user_id, "delivered", 1)
    await show(dave, 1, b'{"read_seq":1}')
    await until_told(alice, dave.user_id, "read", 1)
    assert (await receipts(chat))[carol.user_id].read_seq == 0


async def test_nobody_reads_for_another(chat: Chat) -> None:
    alice, carol, dave = await chat.json("alice"), await chat.yjs("carol"), await chat.yjs("dave")
    await send(alice, "hello")
    await show(carol, 1, b'{"here":1}')
    await show(dave, 1, b'{"read_seq":1}')
    await until_told(alice, dave.user_id, "read", 1)
    echo = AwarenessEntry(dave.doc.client_id, 2, b'{"read_seq":1}')
    own = AwarenessEntry(carol.doc.client_id, 2, b'{"here":2}')
    await carol.client.send(awareness_message(write_entries([echo, own])))
    await until_told(alice, carol.user_id, "delivered", 1)
    assert (await receipts(chat))[carol.user_id].read_seq == 0


async def test_what_one_device_has_read_all_devices_hear_once(chat: Chat) -> None:
    alice, phone = await chat.json("alice"), await chat.json("bob")
    laptop = await chat.json("bob")
    await laptop.done("leave_room", room=ROOM)
    await send(alice, "hello")
    await phone.done("message_delivered", room=ROOM, seq=1)
    await phone.done("message_read", room=ROOM, seq=1)
    await phone.done("message_read", room=ROOM, seq=1)
    await send(alice, "next")
    await phone.done("message_read", room=ROOM, seq=2)
    await laptop.until(lambda event: event["payload"].get("seq") == 2)
    heard = [event["payload"] for event in laptop.events if event["type"] == "notification"]
    assert heard == [{"kind": "read", "room": ROOM, "seq": seq} for seq in (1, 2)]
    assert not any(event["type"] == "notification" for event in alice.events)


async def test_chats_of_no_project_are_the_callers_once_something_of_them_was_delivered(chat: Chat) -> None:
    alice, bob = await chat.json("alice"), await chat.json("bob")
    for body in ("one", "two", "three"):
        await send(alice, body)
    headers = {"Authorization": f"Bearer {chat.server.token('bob')}"}
    async with httpx.AsyncClient(
        base_url=chat.server.url.replace("ws", "http", 1), trust_env=False, verify=False
    ) as http:
        assert (await http.get("/api/unread", headers=headers)).json()["items"] == []
        await bob.done("message_delivered", room=ROOM, seq=2)
        answer = (await http.get("/api/unread", headers=headers)).json()
        assert answer == {"items": [{"chat_id": CHAT, "unread": 3}], "complete": True}
        await bob.done("message_read", room=ROOM, seq=2)
        assert (await http.get("/api/unread", headers=headers)).json()["items"][0]["unread"] == 1
        elsewhere = chat.server.token("bob", room="chat:6")
        answer = await http.get("/api/unread", headers={"Authorization": f"Bearer {elsewhere}"})
        assert answer.json()["items"] == [{"chat_id": 6, "unread": 0}]


# What it adds up to


class Model:
    """The chat as it has to be: each message's sender, or None where it is deleted; each user's mark."""

    def __init__(self) -> None:
        self.senders: list[int | None] = []
        self.read: dict[int, int] = {}

    def unread(self, user_id: int) -> int:
        return sum(sender not in (None, user_id) for sender in self.senders[self.read.get(user_id, 0) :])


async def unread(http: httpx.AsyncClient, chat: Chat, user: str) -> int:
    """As REST says it."""
    headers = {"Authorization": f"Bearer {chat.server.token(user)}"}
    answer = await http.get(f"/api/chats/{CHAT}/unread", headers=headers)
    return int(answer.raise_for_status().json()["unread"])


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_unread_is_what_a_model_says_whatever_happens_in_which_order(
    chat: Chat, seed: int
) -> None:
    rng, model = random.Random(seed), Model()
    people = {user: await chat.json(user) for user in ("alice", "bob")}
    carol = await come(chat, "carol")
    ids = {user: client.user_id for user, client in people.items()} | {"carol": carol.user_id}
    own: list[tuple[str, str, int]] = []  # user, message id, place
    clock = 0
    async with httpx.AsyncClient(
        base_url=chat.server.url.replace("ws", "http", 1), trust_env=False, verify=False
    ) as http:
        for step in range(40):
            user = rng.choice(list(people))
            what = rng.choice(
                ["send", "send", "resend", "delete", "read", "delivered", "yjs send", "yjs read"]
            )
            if what == "send":
                message_id = (await send(people[user], f"message {step}"))["id"]
                own.append((user, message_id, len(model.senders)))
                model.senders.append(ids[user])
            elif what == "yjs send":
                await carol.send(carol.compose(f"message {step}"))
                await people["alice"].message(f"message {step}")
                model.senders.append(carol.user_id)
            elif what in ("resend", "delete") and own:
                user, message_id, place = rng.choice(own)
                if what == "resend":
                    await send(people[user], "again", id=message_id)
                elif model.senders[place] is not None:
                    await people[user].done("message", room=ROOM, id=message_id, action="delete")
                    model.senders[place] = None
            elif what in ("read", "delivered"):
                seq = rng.randint(1, len(model.senders) + 3)
                answer = await people[user].done(f"message_{what}", room=ROOM, seq=seq)
                if what == "read":
                    mark = model.read[ids[user]] = max(
                        model.read.get(ids[user], 0), min(seq, len(model.senders))
                    )
                    assert (answer["read_seq"], answer["unread"]) == (mark, model.unread(ids[user]))
            elif what == "yjs read" and model.senders:
                clock, seq = clock + 1, rng.randint(1, len(model.senders))
                await show(carol, clock, b'{"read_seq":%d}' % seq)
                if seq > model.read.get(carol.user_id, 0):
                    model.read[carol.user_id] = seq
                    await until_told(people["alice"], carol.user_id, "read", seq)
            for client in people.values():
                await client.ask("ping")  # reads what has come
            await carol.pull()
            found = {each: await unread(http, chat, each) for each in ids}
            assert found == {each: model.unread(user_id) for each, user_id in ids.items()}, (step, what)
    for each in (await receipts(chat)).values():
        assert each.read_seq <= each.delivered_seq <= len(model.senders)
        assert each.read_seq == model.read.get(each.user_id, 0)
