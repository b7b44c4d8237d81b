"""Notifications from end to end: from what somebody does to everybody whom it concerns, and to nobody else."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from auth.grants import Role
from crdt_store.engine import Database
from crdt_store.jobs import enqueue
from crdt_store.notifications_jobs import enqueue_invitation, enqueue_lock_free
from server.api_errors import ErrorCode
from tests.events.serving import JsonClient
from tests.wire.conftest import RunningServer, run_server
from tests.wire.test_projects_api import Person, Town

QUICK: dict[str, Any] = {"job_retry_seconds": 0.01, "job_attempts": 2, "job_poll_seconds": 0.05}


class Place(Town):
    """People with connections to /events, and a chat of alice's that bob is in."""

    server: RunningServer
    stack: AsyncExitStack
    chat: int

    @property
    def room(self) -> str:
        return f"chat:{self.chat}"

    async def begin(self) -> "Place":
        project = await self.alice.project()
        self.chat = int((await self.alice.part(project, "chats")).partition("/")[2])
        bob_id = await self.bob.user_id()
        await self.alice.call("PUT", f"{project}/members/{bob_id}", {"role": "editor"})
        self.server.app.state.wake_worker()
        await self.worked_off()
        for each in await self.listed(self.bob):  # that he was let in
            await self.bob.call("POST", f"notifications/{each['id']}/archive")
        return self

    async def online(self, who: Person, *, joins: bool = False) -> JsonClient:
        """A connection of theirs, in no room unless it joins the chat."""
        url = f"{self.server.url}/events?token={who.token}"
        client = JsonClient(await self.stack.enter_async_context(connect(url)))
        assert (await client.ask("connect"))["type"] == "ack"
        if joins:
            assert (await client.ask("join_room", room=self.room))["type"] == "ack"
        return client

    async def say(self, client: JsonClient, body: str, **more: object) -> str:
        """The id of the message."""
        payload = {"room": self.room, "id": str(uuid.uuid4()), "body": body} | more
        answer = await client.ask("message", **payload)
        assert answer["type"] == "ack", answer
        return str(payload["id"])

    async def listed(self, who: Person, query: str = "") -> list[dict[str, Any]]:
        return list((await who.call("GET", f"notifications{query}"))["items"])

    async def until_listed(self, who: Person, count: int) -> list[dict[str, Any]]:
        with anyio.fail_after(10):
            while len(found := await self.listed(who)) < count:
                await anyio.sleep(0.02)
        return found

    async def worked_off(self) -> None:
        """Nothing waits to be done."""
        with anyio.fail_after(10):
            while await self.server.app.state.jobs.page(dead=False, limit=1):
                await anyio.sleep(0.01)


async def place_on(server: RunningServer, stack: AsyncExitStack) -> Place:
    base_url = server.url.replace("ws://", "http://")
    http = await stack.enter_async_context(
        httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False)
    )
    place = Place(server, http)
    place.server, place.stack = server, stack
    return await place.begin()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with run_server(tmp_path, **QUICK) as server, AsyncExitStack() as stack:
        yield await place_on(server, stack)


async def told(client: JsonClient, what: str, **payload: object) -> dict[str, Any]:
    """The first notification of this kind, with these parts."""
    wanted = ({"kind": what} | payload).items()

    def is_it(event: dict[str, Any]) -> bool:
        said = event["payload"]
        return event["type"] == "notification" and all(said.get(name) == value for name, value in wanted)

    event = await client.heard(is_it)
    return dict(event["payload"])


# Messages


async def test_nobody_waits_for_the_worker_to_look(tmp_path: Path) -> None:
    async with run_server(tmp_path, job_poll_seconds=1000) as server, AsyncExitStack() as stack:
        place = await place_on(server, stack)
        alice, bob = await place.online(place.alice, joins=True), await place.online(place.bob)
        for number in range(1, 4):
            await place.say(alice, "hello @bob")
            await told(bob, "mention", seq=number)


async def test_who_is_mentioned_is_told_in_whatever_room(place: Place) -> None:
    alice, bob, phone = (
        await place.online(place.alice, joins=True),
        await place.online(place.bob),
        await place.online(place.bob),
    )
    message_id = await place.say(alice, "hello @bob")
    news = await told(bob, "mention")
    assert await told(phone, "mention") == news
    (listed,) = await place.listed(place.bob)
    expected = {
        "room": place.room,
        "actor_id": await place.alice.user_id(),
        "message_id": message_id,
        "seq": 1,
        "count": 1,
        "unread": 1,
        "text": None,
    }
    assert expected.items() <= news.items()
    assert (listed["id"], listed["kind"], listed["text"]) == (news["id"], "mention", "hello @bob")
    assert await place.listed(place.alice) == []


async def test_a_message_says_whom_it_mentions(place: Place) -> None:
    alice, bob = await place.online(place.alice, joins=True), await place.online(place.bob, joins=True)
    bob_id = await place.bob.user_id()
    await place.say(alice, "hello @BOB and @nobody", mentions=[10**6, bob_id])
    event = await bob.heard_of("message", action="send")
    assert event["payload"]["mentions"] == [bob_id]
    (stored,) = (await place.alice.call("GET", f"chats/{place.chat}/messages"))["items"]
    assert stored["mentions"] == [bob_id]


async def test_who_is_mentioned_by_an_edit_is_told_once(place: Place) -> None:
    alice, bob = await place.online(place.alice, joins=True), await place.online(place.bob, joins=True)
    message_id = await place.say(alice, "hello")
    for body in ("hello @bob", "hello there, @bob"):
        await place.say(alice, body, id=message_id, action="edit")
    edited = await bob.heard_of("message", action="edit", body="hello there, @bob")
    assert edited["payload"]["mentions"] == [await place.bob.user_id()]
    await told(bob, "mention")
    await place.worked_off()
    assert [each["text"] for each in await place.listed(place.bob)] == ["hello there, @bob"]


async def test_who_is_answered_is_told(place: Place) -> None:
    alice, bob = await place.online(place.alice, joins=True), await place.online(place.bob, joins=True)
    asked = await place.say(bob, "who is there?")
    answer = await place.say(alice, "I am", reply_to=asked)
    news = await told(bob, "reply")
    assert news["message_id"] == answer
    assert [each["text"] for each in await place.listed(place.bob)] == ["I am"]


async def test_a_plain_message_concerns_nobody_who_has_not_asked_for_it(place: Place) -> None:
    alice = await place.online(place.alice, joins=True)
    await place.say(alice, "hello")
    assert await place.server.app.state.jobs.page(dead=False, limit=1) == []
    assert await place.listed(place.bob) == []


async def test_who_wants_all_of_a_chat_is_told_of_it_in_one_that_counts_up(place: Place) -> None:
    alice, bob = await place.online(place.alice, joins=True), await place.online(place.bob)
    await place.bob.call("PUT", "notifications/preferences", {"room": place.room, "level": "all"})
    for number in range(5):
        await place.say(alice, str(number))
    news = await told(bob, "chat_activity", count=5)
    (listed,) = await place.listed(place.bob)
    assert (listed["id"], listed["count"], listed["text"], news["unread"]) == (news["id"], 5, "4", 1)
    await place.bob.call("POST", f"notifications/{listed['id']}/read")
    await place.say(alice, "more")
    assert [each["count"] for each in await place.until_listed(place.bob, 2)] == [1, 5]
    await told(bob, "chat_activity", count=1, unread=1)


async def test_who_reads_a_chat_has_read_what_it_was_notified_of_there(place: Place) -> None:
    alice, bob = await place.online(place.alice, joins=True), await place.online(place.bob, joins=True)
    asked = await place.say(bob, "who is there?")
    await place.say(alice, "I am", reply_to=asked)
    await place.say(alice, "still", reply_to=asked)
    await place.until_listed(place.bob, 2)
    await bob.ask("message_read", room=place.room, seq=2)
    listed = await place.listed(place.bob, "?unread=true")
    assert [each["text"] for each in listed] == ["still"]


async def test_who_has_muted_a_chat_is_told_of_nothing_in_it(place: Place) -> None:
    alice = await place.online(place.alice, joins=True)
    await place.bob.call("PUT", "notifications/preferences", {"room": place.room, "level": "mute"})
    await place.say(alice, "hello @bob")
    await place.worked_off()
    assert await place.listed(place.bob) == []
    await place.bob.call("PUT", "notifications/preferences", {"room": place.room, "level": None})
    await place.say(alice, "hello again, @bob")
    assert len(await place.until_listed(place.bob, 1)) == 1


async def test_who_was_away_finds_it_on_return(place: Place) -> None:
    alice = await place.online(place.alice, joins=True)
    await place.say(alice, "hello @bob")
    (listed,) = await place.until_listed(place.bob, 1)
    assert (listed["kind"], listed["text"], listed["read_at"]) == ("mention", "hello @bob", None)
    assert await place.bob.call("GET", "notifications/count") == {"unread": 1}


async def test_who_may_not_read_the_chat_any_more_sees_nothing_of_it(place: Place) -> None:
    alice = await place.online(place.alice, joins=True)
    await place.say(alice, "the secret, @bob")
    await place.until_listed(place.bob, 1)
    limited = place.person("bob", {"chat:999": Role.EDITOR})
    assert [each["text"] for each in await place.listed(limited)] == [None]
    bob_id = await place.bob.user_id()
    await place.alice.call("PUT", f"chats/{place.chat}/members/{bob_id}", {"role": "none"})
    assert [each["text"] for each in await place.listed(place.bob)] == [None]
    await place.say(alice, "another secret, @bob", mentions=[bob_id])
    await place.worked_off()
    assert len(await place.listed(place.bob)) == 1


# Read


async def test_what_one_device_has_read_all_have(place: Place) -> None:
    alice, bob = await place.online(place.alice, joins=True), await place.online(place.bob)
    for number in range(3):
        await place.say(alice, f"{number} @bob")
    third, second, first = await place.until_listed(place.bob, 3)
    assert await place.bob.call("POST", f"notifications/{first['id']}/read") == {"unread": 2}
    await told(bob, "notification_read", id=first["id"], unread=2)
    assert await place.bob.call("POST", f"notifications/{second['id']}/archive") == {"unread": 1}
    assert [each["id"] for each in await place.listed(place.bob, "?unread=true")] == [third["id"]]
    assert (await place.listed(place.bob, "?archived=true"))[0]["id"] == second["id"]
    assert await place.bob.call("POST", f"notifications/read-all?up_to={second['id']}") == {"unread": 1}
    assert await place.bob.call("POST", "notifications/read-all") == {"unread": 0}
    await told(bob, "notification_read", id=None, unread=0)


async def test_pages_go_back_to_the_first(place: Place) -> None:
    alice = await place.online(place.alice, joins=True)
    for number in range(3):
        await place.say(alice, f"{number} @bob")
    await place.until_listed(place.bob, 3)
    page = await place.bob.call("GET", "notifications?limit=2")
    rest = await place.bob.call("GET", f"notifications?limit=2&before={page['next_before']}")
    assert [each["text"] for each in (*page["items"], *rest["items"])] == ["2 @bob", "1 @bob", "0 @bob"]
    assert rest["next_before"] is None


async def test_nobody_touches_what_is_anothers(place: Place) -> None:
    alice = await place.online(place.alice, joins=True)
    await place.say(alice, "@bob")
    (listed,) = await place.until_listed(place.bob, 1)
    for what in ("read", "archive"):
        for number in (listed["id"], 10**9):
            await place.alice.refused(ErrorCode.NOT_FOUND, "POST", f"notifications/{number}/{what}")
    assert await place.bob.call("GET", "notifications/count") == {"unread": 1}


async def test_preferences_are_for_chats_that_one_may_read(place: Place) -> None:
    assert await place.bob.call("GET", "notifications/preferences") == {"default": "mentions", "rooms": {}}
    put = "PUT", "notifications/preferences"
    assert await place.bob.call(*put, {"level": "all"}) == {"default": "all", "rooms": {}}
    said = await place.bob.call(*put, {"room": place.room, "level": "mute"})
    assert said == {"default": "all", "rooms": {place.room: "mute"}}
    carol = place.person("carol")
    await carol.refused(ErrorCode.NOT_FOUND, *put, {"room": place.room, "level": "all"})
    for room in ("global", "workspace:1", "project:1"):
        await place.bob.refused(ErrorCode.INVALID_PARAMETER, *put, {"room": room, "level": "all"})
    await place.bob.refused(ErrorCode.INVALID_PARAMETER, *put, {"level": "some"})


# What is not about messages


async def test_a_broadcast_reaches_everybody_there_and_away(place: Place) -> None:
    root = place.person("root", {"global": Role.ADMIN})
    bob = await place.online(place.bob)
    await root.call("POST", "notifications/broadcast", {"text": "Restart at noon"})
    await told(bob, "system", text="Restart at noon", room="global", unread=1)
    for who in (place.alice, place.bob):
        (listed,) = await place.until_listed(who, 1)
        assert (listed["kind"], listed["text"]) == ("system", "Restart at noon")
    await place.bob.refused(ErrorCode.FORBIDDEN, "POST", "notifications/broadcast", {"text": "no"})


async def test_a_broadcast_to_many_is_done_in_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.notifications.fan_out._USERS_PER_PART", 2)
    people = [place.person(f"person {number}") for number in range(5)]
    for who in people:
        await who.user_id()
    root = place.person("root", {"global": Role.ADMIN})
    await root.call("POST", "notifications/broadcast", {"text": "hello"})
    await place.worked_off()
    for who in (place.alice, place.bob, *people, root):
        assert len(await place.listed(who)) == 1


async def test_other_features_notify_by_a_job(place: Place) -> None:
    bob, bob_id, alice_id = (
        await place.online(place.bob),
        await place.bob.user_id(),
        await place.alice.user_id(),
    )
    database: Database = place.server.app.state.messages._database
    room = f"workspace:{10**6}/level.umap"
    await database.write(
        lambda connection: enqueue_lock_free(connection, room, "level.umap", [bob_id, alice_id], alice_id, 1)
    )
    news = await told(bob, "lock_free")
    assert (news["data"], news["actor_id"], news["room"]) == ({"path": "level.umap"}, alice_id, room)
    await database.write(
        lambda connection: enqueue_invitation(connection, place.room, bob_id, 3, alice_id, 1)
    )
    await told(bob, "invitation", room=place.room, data={"role": "editor"})
    assert await place.listed(place.alice) == []


# Jobs


async def test_a_job_that_cannot_be_done_is_listed_tried_again_and_discarded(place: Place) -> None:
    root = place.person("root", {"global": Role.ADMIN})
    database: Database = place.server.app.state.messages._database
    await database.write(lambda connection: enqueue(connection, "notice", {"no": "notice"}, 1))

    async def dead() -> list[dict[str, Any]]:
        return list((await root.call("GET", "jobs?state=dead"))["items"])

    with anyio.fail_after(10):
        while not (found := await dead()):
            await anyio.sleep(0.02)
    assert (found[0]["kind"], found[0]["attempts"], found[0]["payload"]) == ("notice", 2, {"no": "notice"})
    assert found[0]["error"].startswith("TypeError: ")
    job = f"jobs/{found[0]['id']}"
    await place.alice.refused(ErrorCode.FORBIDDEN, "POST", f"{job}/retry")
    await root.call("POST", f"{job}/retry")
    with anyio.fail_after(10):
        while not await dead():
            await anyio.sleep(0.02)
    await root.call("DELETE", job)
    assert await dead() == []
    await root.refused(ErrorCode.NOT_FOUND, "DELETE", job)
    await root.refused(ErrorCode.NOT_FOUND, "POST", f"{job}/retry")
