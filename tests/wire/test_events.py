"""The JSON protocol on `/events`, as its clients meet it."""

import asyncio
import json
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from auth.grants import Role
from server.events.errors import EventError, EventErrorCode
from server.events.handlers import Answer, Speaker
from server.events.models import CLIENT_EVENTS, Message
from server.events.sent_models import SERVER_EVENTS
from server.news.hub import News
from server.rooms.names import RoomName
from tests.events.serving import EventsServer, JsonClient, run_events_server
from tests.wire.client import Writer

CHAT, FILE = "chat:7", "workspace:1/notes.md"
UNAUTHORIZED, TOKEN_EXPIRED, TRY_AGAIN_LATER, TOO_BIG = 4401, 4501, 1013, 1009


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EventsServer]:
    async with run_events_server(tmp_path) as running:
        yield running


async def test_an_answer_has_the_envelope_and_the_id_of_what_was_asked(server: EventsServer) -> None:
    client = await server.client("alice")
    ack = await client.ask("connect")
    assert set(ack) == {"type", "payload", "timestamp", "sender_id", "id"}
    assert (ack["type"], ack["sender_id"]) == ("ack", None)
    assert datetime.fromisoformat(ack["timestamp"]).utcoffset() == timedelta(0)
    assert ack["payload"]["name"] == "alice"
    assert ack["payload"]["protocol"] == 1
    assert isinstance(ack["payload"]["user_id"], int)


async def test_a_token_may_come_in_the_address_a_header_or_the_first_event(server: EventsServer) -> None:
    token = server.yjs.token("alice")
    by_address = await server.client("alice")
    by_header = await server.open(headers={"Authorization": f"Bearer {token}"})
    by_event = await server.open()
    answers = [
        await by_address.ask("connect"),
        await by_header.ask("connect"),
        await by_event.ask("connect", token=token),
    ]
    assert [answer["type"] for answer in answers] == ["ack"] * 3
    assert len({answer["payload"]["user_id"] for answer in answers}) == 1


async def test_nothing_is_done_for_who_has_shown_no_token(server: EventsServer) -> None:
    client = await server.open()
    assert (await client.ask("join_room", room=CHAT))["payload"]["code"] == "not_authenticated"
    assert (await client.ask("connect"))["payload"]["code"] == "not_authenticated"
    assert (await client.ask("connect", token=server.yjs.token()))["type"] == "ack"


@pytest.mark.parametrize("query", ["?token=nonsense", "?ticket=nonsense&room=chat:7"])
async def test_a_bad_token_is_told_so_and_closed(server: EventsServer, query: str) -> None:
    client = await server.open(query)
    error = await client.heard_of("error", code="unauthorized")
    assert "refused" in error["payload"]["reason"]
    assert await client.close_code() == UNAUTHORIZED


async def test_a_bad_token_in_connect_is_told_so_and_closed(server: EventsServer) -> None:
    client = await server.open()
    assert (await client.ask("connect", token="nonsense"))["payload"]["code"] == "unauthorized"
    assert await client.close_code() == UNAUTHORIZED


async def test_a_token_that_does_not_come_in_time_ends_the_connection(tmp_path: Path) -> None:
    async with run_events_server(tmp_path, handshake_timeout_seconds=0.2) as server:
        client = await server.open()
        assert await client.close_code() == UNAUTHORIZED
        assert client.received[-1]["payload"]["code"] == "unauthorized"


async def test_before_a_token_messages_are_small(tmp_path: Path) -> None:
    async with run_events_server(tmp_path, max_unauthenticated_bytes=1000) as server:
        client = await server.open()
        await client.say("connect", {"token": "x" * 1000})
        assert await client.close_code() == UNAUTHORIZED
        assert client.received[-1]["payload"]["code"] == "too_large"


async def test_connect_again_prolongs_and_another_user_is_refused(server: EventsServer) -> None:
    client = await server.open(f"?token={server.yjs.token('alice', ttl=30)}")
    first = await client.ask("connect")
    second = await client.ask("connect", token=server.yjs.token("alice", ttl=90))
    assert second["payload"]["expires_at"] > first["payload"]["expires_at"]
    other = await client.ask("connect", token=server.yjs.token("bob"))
    assert other["payload"]["code"] == "unauthorized"
    assert (await client.ask("connect"))["payload"]["user_id"] == first["payload"]["user_id"]


async def test_who_leaves_says_so(server: EventsServer) -> None:
    client = await server.client()
    assert (await client.ask("disconnect"))["type"] == "ack"
    assert await client.close_code() == 1000


async def test_an_expiring_token_is_announced_then_the_connection_closes(tmp_path: Path) -> None:
    async with run_events_server(tmp_path, jwt_leeway_seconds=0) as server:
        client = await server.open(f"?token={server.yjs.token('alice', ttl=2)}")
        warning = await client.heard_of("permission_changed", reason="token_expires")
        assert warning["payload"]["expires_at"]
        assert await client.close_code() == TOKEN_EXPIRED


async def test_a_ticket_lets_into_its_room_alone(server: EventsServer) -> None:
    base = server.yjs.url.replace("ws:", "http:")
    headers = {"Authorization": f"Bearer {server.yjs.token()}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, verify=False) as http:
        answer = await http.post("/api/tickets", json={"room": CHAT})
        ticket = answer.json()["ticket"]
    client = await server.open(f"?ticket={ticket}&room={CHAT}")
    assert (await client.ask("join_room", room=CHAT))["type"] == "ack"
    assert (await client.ask("join_room", room="chat:8"))["payload"]["code"] == "not_allowed"
    assert (await client.ask("connect", token=server.yjs.token()))["type"] == "ack"
    assert (await client.ask("join_room", room="chat:8"))["type"] == "ack"


async def test_a_revoked_token_ends_the_connection(server: EventsServer) -> None:
    client = await server.client("alice")
    user_id = (await client.ask("connect"))["payload"]["user_id"]
    await server.context.doorkeeper.revoke_user(user_id, revoked_by=user_id)
    assert await client.close_code() == UNAUTHORIZED
    assert client.received[-1]["payload"]["code"] == "unauthorized"


# What is wrong


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ("[" * 100_000, "not_json"),
        ("NaN", "not_json"),
        ("[]", "bad_envelope"),
        ("{}", "bad_envelope"),
        ('{"type": 7}', "bad_envelope"),
        ('{"type": "ping", "more": 1}', "bad_envelope"),
        ('{"type": "ping", "payload": []}', "bad_envelope"),
        ('{"type": "nonsense"}', "unknown_type"),
        ('{"type": "user_joined"}', "unsupported"),
        ('{"type": "file_update", "payload": {"room": "chat:7"}}', "invalid_payload"),
        ('{"type": "join_room", "payload": {"room": "chat:7", "more": 1}}', "invalid_payload"),
        ('{"type": "join_room", "payload": {"room": "chat:\\u0000"}}', "invalid_payload"),
        ('{"type": "join_room", "payload": {"room": "chat:x"}}', "not_found"),
        ('{"type": "message", "payload": {"room": "chat:7", "id": "a"}}', "unsupported"),
        ('{"type": "typing_start", "payload": {"room": "chat:7"}}', "not_joined"),
        ('{"type": "cursor", "payload": {"room": "chat:7", "cursor": "\\ud800"}}', "invalid_payload"),
    ],
)
async def test_what_is_wrong_is_named_and_the_connection_stays(
    server: EventsServer, text: str, code: str
) -> None:
    client = await server.client()
    await client.connection.send(text)
    error = await client.heard_of("error")
    assert error["payload"]["code"] == code
    assert error["payload"]["reason"]
    assert (await client.ask("ping"))["type"] == "pong"


async def test_binary_and_large_messages_are_refused_and_the_connection_stays(tmp_path: Path) -> None:
    async with run_events_server(tmp_path, max_json_bytes=2000, max_message_bytes=10_000) as server:
        client = await server.client()
        await client.connection.send(b"\0\1")
        await client.heard_of("error", code="not_json")
        await client.connection.send("é" * 1001)
        await client.heard_of("error", code="too_large")
        assert (await client.ask("ping"))["type"] == "pong"
        await client.connection.send("x" * 10_001)
        assert await client.close_code() == TOO_BIG


async def test_a_room_without_a_role_cannot_be_joined(server: EventsServer) -> None:
    client = await server.client("alice", room="chat:1")
    assert (await client.ask("join_room", room=CHAT))["payload"]["code"] == "not_allowed"


async def test_who_sends_too_much_is_slowed_down_and_the_rest_is_answered(tmp_path: Path) -> None:
    async with run_events_server(tmp_path, max_messages_per_second_per_connection=20) as server:
        client = await server.client()
        began = time.monotonic()
        for _ in range(60):
            await client.say("ping", id="all the same")
        await client.heard(lambda _: len(client.received) >= 60)
        assert time.monotonic() - began > 0.5
        assert client.kinds() == []


# Rooms


async def test_joining_says_who_is_there_and_the_others_hear_of_it(server: EventsServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob", Role.VIEWER)
    alone = await alice.ask("join_room", room=CHAT)
    assert alone["payload"] | {"members": None} == {
        "room": CHAT,
        "role": "editor",
        "members": None,
        "last_seq": 0,
        "gap": False,
    }
    both = await bob.ask("join_room", room=CHAT, away=True)
    assert both["payload"]["role"] == "viewer"
    assert [(m["name"], m["state"]) for m in both["payload"]["members"]] == [
        ("alice", "online"),
        ("bob", "away"),
    ]
    joined = await alice.heard_of("user_joined")
    assert (joined["payload"]["name"], joined["payload"]["state"]) == ("bob", "away")
    assert joined["sender_id"] == joined["payload"]["user_id"] == both["payload"]["members"][1]["user_id"]
    await bob.ask("leave_room", room=CHAT)
    left = await alice.heard_of("user_left")
    assert left["payload"] == {"user_id": joined["sender_id"], "room": CHAT}
    assert (await bob.ask("leave_room", room=CHAT))["payload"]["code"] == "not_joined"
    await alice.settle()
    assert alice.kinds() == ["user_joined", "user_left"]


async def test_a_user_with_two_devices_joins_once_and_leaves_with_the_last(server: EventsServer) -> None:
    alice = await server.client("alice")
    await alice.ask("join_room", room=CHAT)
    phone, desk = await server.client("bob"), await server.client("bob")
    await phone.ask("join_room", room=CHAT)
    await desk.ask("join_room", room=CHAT)
    await phone.connection.close()
    await desk.ask("join_room", room=CHAT, away=True)
    update = await alice.heard_of("presence_update")
    assert update["payload"]["state"] == "away"
    await desk.ask("disconnect")
    await alice.heard_of("user_left")
    assert alice.kinds() == ["user_joined", "presence_update", "user_left"]


async def test_many_rooms_on_one_connection_are_apart(server: EventsServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    for number in range(1, 30):
        assert (await alice.ask("join_room", room=f"chat:{number}"))["type"] == "ack"
    await bob.ask("join_room", room="chat:3")
    assert (await alice.heard_of("user_joined"))["payload"]["room"] == "chat:3"
    server.hub.publish("chat:5", News("message", {"body": "hi"}, 1, 0))
    assert (await alice.heard_of("message"))["payload"] == {"body": "hi", "room": "chat:5"}
    await bob.settle()
    assert bob.kinds() == []


async def test_typing_is_told_once_and_ends_by_itself(server: EventsServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await alice.ask("join_room", room=CHAT)
    await bob.ask("join_room", room=CHAT)
    began = time.monotonic()
    for _ in range(20):
        await bob.say("typing_start", {"room": CHAT})
    started = await alice.heard_of("typing_start")
    assert started["payload"]["room"] == CHAT
    assert time.monotonic() - began < 1
    stopped = await alice.heard_of("typing_stop")
    assert stopped["payload"]["user_id"] == started["sender_id"]
    assert 5.5 < time.monotonic() - began < 8
    assert alice.kinds("user_joined") == ["typing_start", "typing_stop"]


async def test_a_cursor_is_shown_as_it_was_put(server: EventsServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await alice.ask("join_room", room=FILE)
    await bob.ask("join_room", room=FILE)
    for place in range(50):
        await bob.say("cursor", {"room": FILE, "cursor": {"actor": "Cube", "x": place}})
    await alice.heard_of("cursor", cursor={"actor": "Cube", "x": 49})
    assert len(alice.kinds("user_joined")) < 10


async def test_in_global_nobody_sees_who_is_there_but_news_come(server: EventsServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    assert (await alice.ask("join_room", room="global"))["payload"]["members"] == []
    await bob.ask("join_room", room="global")
    server.hub.publish("global", News("notification", {"kind": "system", "text": "soon"}, None, 0))
    assert (await alice.heard_of("notification"))["payload"]["text"] == "soon"
    assert alice.kinds() == ["notification"]


async def test_news_for_a_user_come_on_all_connections(server: EventsServer) -> None:
    phone, desk, bob = [await server.client(user) for user in ("alice", "alice", "bob")]
    user_id = (await phone.ask("connect"))["payload"]["user_id"]
    await desk.ask("connect")
    await bob.ask("connect")
    server.hub.publish_to_user(user_id, News("notification", {"kind": "mention", "room": CHAT}, None, 0))
    for client in (phone, desk):
        assert (await client.heard_of("notification"))["payload"]["kind"] == "mention"
    await bob.settle()
    assert bob.kinds() == []


async def test_a_lost_role_ends_the_stay_and_a_changed_one_is_told(server: EventsServer) -> None:
    base = server.yjs.url.replace("ws:", "http:")

    async def call(method: str, path: str, user: str = "alice", body: Any = None) -> Any:
        token = server.yjs.tokens.mint(user, grants=None, now_seconds=time.time(), ttl_seconds=60)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=base, headers=headers, verify=False) as http:
            answer = await http.request(method, path, json=body)
            assert answer.is_success, answer.text
            return answer.json() if answer.content else None

    project = (await call("POST", "/api/projects", body={"name": "Game"}))["id"]
    chat = (await call("POST", f"/api/projects/{project}/chats", body={"name": "All"}))["id"]
    bob_id = (await call("GET", "/api/me", "bob"))["user_id"]
    member = f"/api/projects/{project}/members/{bob_id}"
    await call("PUT", member, body={"role": "viewer"})
    alice, bob = await server.client("alice"), await server.client("bob")
    await alice.ask("join_room", room=f"chat:{chat}")
    assert (await bob.ask("join_room", room=f"chat:{chat}"))["payload"]["role"] == "viewer"
    await call("PUT", member, body={"role": "editor"})
    await bob.heard_of("permission_changed", room=f"chat:{chat}", role="editor")
    await call("DELETE", member)
    await bob.heard_of("permission_changed", room=f"chat:{chat}", role="none")
    await alice.heard_of("user_left", user_id=bob_id)
    assert (await bob.ask("typing_start", room=f"chat:{chat}"))["payload"]["code"] == "not_joined"


async def test_a_room_that_the_server_closes_may_be_joined_again(server: EventsServer) -> None:
    alice = await server.client("alice")
    await alice.ask("join_room", room=FILE)
    await server.context.rooms.delete_room(name=FILE)
    await alice.heard_of("error", code="room_closed", room=FILE)
    assert (await alice.ask("join_room", room=FILE))["type"] == "ack"


# What was missed


async def test_who_comes_back_hears_what_was_missed_before_what_happens(server: EventsServer) -> None:
    alice = await server.client("alice")
    for number in range(1, 6):
        server.history.keep(CHAT, body=f"message {number}")
    ack = await alice.ask("join_room", room=CHAT, last_seq=2)
    assert (ack["payload"]["last_seq"], ack["payload"]["gap"]) == (5, False)
    server.history.keep(CHAT, body="message 6")
    await alice.heard_of("message", event_seq=6)
    heard = [e["payload"]["event_seq"] for e in alice.received if e["type"] == "message"]
    assert heard == [3, 4, 5, 6]


async def test_what_happens_while_the_missed_is_read_comes_once(server: EventsServer) -> None:
    alice = await server.client("alice")
    server.history.keep(CHAT)

    def happen() -> None:
        server.history.before_read = lambda: None
        server.history.keep(CHAT)  # kept and told before the read
        late = server.history.store(CHAT)  # kept before the read, told after it
        asyncio.get_running_loop().call_soon(server.hub.publish, CHAT, late)

    server.history.before_read = happen
    await alice.ask("join_room", room=CHAT, last_seq=0)
    server.history.keep(CHAT)
    await alice.heard_of("message", event_seq=4)
    heard = [e["payload"]["event_seq"] for e in alice.received if e["type"] == "message"]
    assert heard == [1, 2, 3, 4]


@pytest.mark.parametrize("last_seq", [1, 99])
async def test_where_not_all_that_was_missed_is_kept_the_answer_says_so(
    server: EventsServer, last_seq: int
) -> None:
    alice = await server.client("alice")
    for _ in range(5):
        server.history.keep(CHAT)
    server.history.forgotten = 3
    ack = await alice.ask("join_room", room=CHAT, last_seq=last_seq)
    assert (ack["payload"]["gap"], ack["payload"]["last_seq"]) == (True, 5)
    assert ack["payload"]["rest"] == "/api/chats/7/messages"
    server.history.keep(CHAT)
    await alice.heard_of("message", event_seq=6)
    assert alice.kinds() == ["message"]


async def test_too_much_to_send_at_once_is_a_gap(tmp_path: Path) -> None:
    async with run_events_server(tmp_path, max_outbox_bytes=4000) as server:
        alice = await server.client("alice")
        for _ in range(3):
            server.history.keep(CHAT, body="x" * 500)
        assert (await alice.ask("join_room", room=CHAT, last_seq=0))["payload"]["gap"] is True
        assert (await alice.ask("join_room", room=CHAT, last_seq=2))["payload"]["gap"] is False


# Features


class Recorder:
    """A feature that answers at once, or when the test lets it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def message(self, speaker: Speaker, room: RoomName, message: Message) -> Answer | Awaitable[Answer]:
        if speaker.role_in(room) < Role.COMMENTER:
            raise EventError(EventErrorCode.NOT_ALLOWED)
        if message.body == "fail":
            raise ValueError("broken")
        self.begun.append(message.id)
        gate = self.gates.get(message.id)
        answer = {"id": message.id, "seq": len(self.begun)}
        return answer if gate is None else self._later(gate, answer)

    async def _later(self, gate: asyncio.Event, answer: Answer) -> Answer:
        await gate.wait()
        return answer


async def say(client: JsonClient, message_id: str, event_id: str, body: str = "hi") -> None:
    await client.say("message", {"room": CHAT, "id": message_id, "body": body}, id=event_id)


async def test_an_event_that_comes_again_is_answered_again_and_not_done_again(server: EventsServer) -> None:
    recorder = Recorder()
    server.handlers["message"] = recorder.message
    before, after = await server.client("alice"), await server.client("alice")
    other = await server.client("bob")
    for client in (before, after, other):
        await client.ask("join_room", room=CHAT)
        await say(client, "m1", "1")
    answers = [await client.heard(lambda event: event.get("id") == "1") for client in (before, after, other)]
    assert [answer["payload"]["seq"] for answer in answers] == [1, 1, 2]
    await say(after, "m2", "1")
    await after.heard_of("ack", seq=3)
    assert recorder.begun == ["m1", "m1", "m2"]


async def test_events_begin_in_order_and_none_waits_for_the_commit_of_another(server: EventsServer) -> None:
    recorder = Recorder()
    recorder.gates["m1"] = asyncio.Event()
    server.handlers["message"] = recorder.message
    alice, again = await server.client("alice"), await server.client("alice")
    await alice.ask("join_room", room=CHAT)
    await again.ask("join_room", room=CHAT)
    await say(alice, "m1", "1")
    await say(alice, "m2", "2")
    assert (await alice.heard_of("ack", id="m2"))["payload"]["seq"] == 2
    await say(again, "m1", "1")  # while the first is on its way
    await again.settle()
    recorder.gates["m1"].set()
    assert (await again.heard_of("ack", id="m1"))["payload"]["seq"] == 1
    assert (await alice.heard_of("ack", id="m1"))["payload"]["seq"] == 1
    assert recorder.begun == ["m1", "m2"]


async def test_what_a_feature_refuses_or_fails_at_is_an_error_and_may_be_tried_again(
    server: EventsServer,
) -> None:
    recorder = Recorder()
    server.handlers["message"] = recorder.message
    viewer, editor = await server.client("bob", Role.VIEWER), await server.client("alice")
    await editor.ask("join_room", room=CHAT)
    await viewer.ask("join_room", room=CHAT)
    await say(viewer, "m1", "1")
    assert (await viewer.heard_of("error"))["payload"]["code"] == "not_allowed"
    await say(editor, "m1", "1", body="fail")
    error = await editor.heard_of("error")
    assert (error["id"], error["payload"]["code"], error["payload"]["room"]) == ("1", "internal", CHAT)
    assert "broken" not in json.dumps(error)
    await say(editor, "m1", "1")
    await editor.heard_of("ack", seq=1)


# Clients that do not read


async def test_a_client_that_does_not_read_is_closed(tmp_path: Path) -> None:
    async with run_events_server(tmp_path, max_outbox_bytes=200_000) as server:
        alice = await server.client("alice")
        await alice.ask("join_room", room=CHAT)
        alice.stop_reading()
        (connection,) = server.endpoint._known
        for _ in range(2000):
            if not connection.is_open:
                break
            server.hub.publish(CHAT, News("message", {"body": "x" * 20_000}, 1, 0))
            await asyncio.sleep(0)
        assert not connection.is_open
        alice.connection.transport.resume_reading()
        assert await alice.close_code() == TRY_AGAIN_LATER


async def test_who_asks_without_reading_is_not_answered_without_bound(tmp_path: Path) -> None:
    async with run_events_server(tmp_path, max_messages_per_second_per_connection=1_000_000) as server:
        alice = await server.client("alice")
        await alice.ask("connect")
        alice.stop_reading()
        (connection,) = server.endpoint._known
        count = 8_000

        async def ask() -> None:
            for number in range(count):
                await alice.say("typing_stop", {"room": "x" * 600}, id=number)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            with anyio.fail_after(20):
                while not (connection.is_lagging and connection.is_paused):
                    await anyio.sleep(0.01)
            alice.connection.transport.resume_reading()
            await alice.heard(lambda event: event.get("id") == count - 1)
        assert [event["id"] for event in alice.received[1:]] == list(range(count))


async def test_hostile_texts_are_answered_with_errors_and_the_connection_stays(server: EventsServer) -> None:
    dice = random.Random(11)
    alice, bob = await server.client("alice"), await server.client("bob")
    for client in (alice, bob):
        await client.ask("join_room", room=CHAT)
    await alice.heard_of("user_joined")
    for round_number in range(100):
        count = len(alice.received)
        for _ in range(20):
            await alice.connection.send(hostile_text(dice))
        assert (await alice.ask("ping"))["type"] == "pong", round_number
        assert {event["type"] for event in alice.received[count:]} <= {"ack", "error", "pong"}
    codes = {event["payload"]["code"] for event in alice.received if event["type"] == "error"}
    assert codes <= set(EventErrorCode)
    assert {"not_json", "bad_envelope", "unknown_type", "invalid_payload", "not_found"} <= codes
    assert "internal" not in codes
    assert (await bob.ask("ping"))["type"] == "pong"


def hostile_text(dice: random.Random) -> str:
    """An event of which some part is not as it should be, or nonsense."""
    event: dict[str, Any] = {
        "type": dice.choice([*CLIENT_EVENTS, *SERVER_EVENTS, "nonsense"]),
        "payload": {
            name: hostile_value(dice)
            for name in dice.sample(
                ["room", "id", "body", "cursor", "seq", "last_seq", "path", "action"], dice.randrange(5)
            )
        },
        "id": dice.choice([1, "a", None, hostile_value(dice)]),
    }
    if event["type"] in ("connect", "disconnect", "leave_room"):
        event["type"] = "join_room"
    if dice.random() < 0.3:
        event[dice.choice(["type", "payload", "id", "timestamp", "sender_id", "more"])] = hostile_value(dice)
    text = json.dumps(event)
    if dice.random() < 0.2:
        cut = dice.randrange(len(text))
        text = text[:cut] + dice.choice(["", "\0", "]", "\\ud800", "NaN"]) + text[cut + 1 :]
    return text


def hostile_value(dice: random.Random) -> Any:
    deep: Any = 0
    for _ in range(dice.choice([3, 33, 200])):
        deep = [deep]
    plain = [CHAT, "chat:0", "", "\0", "\ud800", "\u202e", "x" * 20_000, "chat:" + "9" * 500]
    return dice.choice(
        [*plain, -1, 2**70, 1e300, math.inf, True, None, {}, [], {"": deep}, deep, {"room": CHAT}]
    )


# With Yjs clients


async def test_yjs_and_json_clients_see_each_other(server: EventsServer) -> None:
    alice, yjs = await server.client("alice"), await server.yjs.client("bob", room=FILE)
    await yjs.show(77, 1, b'{"user":{"name":"somebody else","color":"#123456"},"cursor":{"a":1}}')
    ack = await alice.ask("join_room", room=FILE)
    await yjs.until(lambda: len(yjs.awareness()) >= 1)
    entry = yjs.awareness()[-1]
    assert entry.clock >= 1
    assert entry.state is not None
    shown = json.loads(entry.state)
    assert (shown["user"]["name"], shown["typing"]) == ("alice", False)
    bob = next(member for member in ack["payload"]["members"] if member["name"] == "bob")
    assert (bob["color"], bob["cursor"]) == ("#123456", {"a": 1})

    await yjs.show(77, 2, b'{"user":{},"typing":true,"activity":"reviewing","away":true}')
    await alice.heard_of("typing_start", user_id=bob["user_id"])
    await alice.heard_of("presence_update", state="away", activity="reviewing")
    await alice.heard_of("cursor", cursor=None)
    await alice.ask("typing_start", room=FILE)
    await yjs.until(lambda: json.loads(yjs.awareness()[-1].state or b"{}").get("typing") is True)
    await yjs.connection.close()
    await alice.heard_of("user_left", user_id=bob["user_id"])


async def test_a_yjs_client_hears_that_a_json_client_is_gone(server: EventsServer) -> None:
    alice, yjs = await server.client("alice"), await server.yjs.client("bob", room=FILE)
    await yjs.sync()
    await alice.ask("join_room", room=FILE)
    await yjs.until(lambda: len(yjs.awareness()) == 1)
    await alice.connection.close()
    await yjs.until(lambda: yjs.awareness()[-1].state is None)
    assert yjs.awareness()[-1].client_id == yjs.awareness()[0].client_id


async def test_in_a_room_with_an_earlier_epoch_a_json_client_is_seen_too(server: EventsServer) -> None:
    writer = Writer(5)
    first = await server.yjs.client("bob", room=FILE)
    await first.edit(writer.type("old"))
    base = server.yjs.url.replace("ws:", "http:")
    headers = {"Authorization": f"Bearer {server.yjs.token('root', Role.ADMIN)}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, verify=False) as http:
        assert (await http.delete(f"/api/documents/{FILE}")).is_success
    alice, bob = await server.client("alice"), await server.client("bob")
    await alice.ask("join_room", room=FILE)
    await bob.ask("join_room", room=FILE)
    yjs = await server.yjs.client("carol", room=FILE)
    await yjs.sync()
    await yjs.until(lambda: len({entry.client_id for entry in yjs.awareness()}) == 2)
    await yjs.show(9, 1, b'{"user":{"name":"x"}}')
    await alice.heard_of("user_joined", name="carol")
    assert alice.kinds() == ["user_joined", "user_joined"]
