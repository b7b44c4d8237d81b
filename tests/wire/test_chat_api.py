"""Messages over HTTP: paged, counted, marked as read and searched, and never shown to who may not read their chat."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from httpx import URL
from sqlalchemy import Connection
from websockets.asyncio.client import connect

from auth.grants import Role
from crdt_store.engine import Database
from crdt_store.messages import NewMessage, StoredMessage, delete_message, edit_message, insert_messages
from server.api_errors import ErrorCode
from server.chat import rest_chats
from tests.events.serving import JsonClient
from tests.wire.conftest import RunningServer, run_server
from tests.wire.test_projects_api import Person, Town, town_of

T = TypeVar("T")
PLAIN = "chats/900"  # of no project
NOW_MS = 1_800_000_000_000
_uuids = count()

OF_CHAT = [
    ("GET", "{chat}/messages", None),
    ("GET", "{chat}/messages/m?sender_id=1", None),
    ("GET", "{chat}/receipts", None),
    ("PUT", "{chat}/read", {"seq": 1}),
    ("GET", "{chat}/unread", None),
    ("GET", "search/messages?q=hello&chat={number}", None),
]


class Place(Town):
    """A town whose messages tests can write as the rooms do."""

    server: RunningServer

    async def write(self, body: Callable[[Connection], T]) -> T:
        database: Database = self.server.app.state.messages._database
        return await database.write(body)

    async def post(self, chat: str, who: Person, *bodies: str, **more: Any) -> list[StoredMessage]:
        user_id = await who.user_id()
        new = [
            NewMessage(f"m{next(_uuids)}", user_id, body, "2026-01-02T03:04:05Z", **more) for body in bodies
        ]
        return await self.write(partial(insert_messages, chat_id=number_of(chat), new=new, now_ms=NOW_MS))


async def place_on(server: RunningServer) -> AsyncIterator[Place]:
    async for town in town_of(server):
        place = Place(server, town._http)
        place.server = server
        yield place


@pytest.fixture
async def place(server: RunningServer) -> AsyncIterator[Place]:
    async for place in place_on(server):
        yield place


@pytest.fixture
async def hosted(tmp_path: Path) -> AsyncIterator[Place]:
    """Where grants are the authority."""
    async with run_server(tmp_path, grants_are_authority=True) as server:
        async for place in place_on(server):
            yield place


@pytest.fixture
async def chat(place: Place) -> str:
    """Alice's, of which nobody else knows."""
    return await place.alice.part(await place.alice.project(), "chats")


def number_of(chat: str) -> int:
    return int(chat.rpartition("/")[2])


def bodies(page: dict[str, Any]) -> list[str]:
    return [item["body"] for item in page["items"]]


def unread_of(counted: dict[str, Any]) -> dict[str, int]:
    return {f"chats/{item['chat_id']}": item["unread"] for item in counted["items"]}


async def pages(who: Person, path: str, **parameters: Any) -> list[list[str]]:
    """The bodies of each page, to the last."""
    found, before = [], None
    while True:
        query = parameters if before is None else {**parameters, "before": before}
        page = await who.call("GET", str(URL(path, params=query)))
        found.append(bodies(page))
        before = page["next_before"]
        if before is None:
            return found


async def found(who: Person, query: str, **parameters: Any) -> list[str]:
    (only,) = await pages(who, "search/messages", q=query, limit=200, **parameters)
    return only


# Messages


@pytest.mark.parametrize("of_project", [True, False])
async def test_messages_come_newest_first_a_page_at_a_time(place: Place, chat: str, of_project: bool) -> None:
    chat = chat if of_project else PLAIN
    await place.post(chat, place.alice, *map(str, range(7)))
    assert await pages(place.alice, f"{chat}/messages", limit=3) == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert await pages(place.alice, f"{chat}/messages", limit=7) == [["6", "5", "4", "3", "2", "1", "0"]]
    first = await place.alice.call("GET", f"{chat}/messages?limit=3")
    await place.post(chat, place.bob, "new")
    older = await place.alice.call("GET", f"{chat}/messages?limit=3&before={first['next_before']}")
    assert bodies(older) == ["3", "2", "1"]


async def test_a_chat_in_which_nothing_was_said_is_empty(place: Place, chat: str) -> None:
    for empty in (chat, PLAIN):
        assert await place.alice.call("GET", f"{empty}/messages") == {"items": [], "next_before": None}
        assert await place.alice.call("GET", f"{empty}/receipts") == {"items": []}


async def test_a_message_is_shown_as_it_is_stored(place: Place, chat: str) -> None:
    bob_id = await place.bob.user_id()
    (stored,) = await place.post(chat, place.alice, "Hé 👍", reply_to="other", mentions=(bob_id,))
    shown = {
        "chat_id": number_of(chat),
        "id": stored.uuid,
        "seq": 1,
        "sender_id": await place.alice.user_id(),
        "body": "Hé 👍",
        "reply_to": "other",
        "mentions": [bob_id],
        "sent_at": "2026-01-02T03:04:05Z",
        "server_time": "2027-01-15T08:00:00.000Z",
        "edited_at": None,
        "deleted": False,
        "agent": None,
    }
    assert (await place.alice.call("GET", f"{chat}/messages"))["items"] == [shown]
    assert await place.alice.call("GET", f"{chat}/messages/{stored.uuid}") == shown
    change = partial(edit_message, chat_id=stored.chat_id, sender_id=stored.sender_id, uuid=stored.uuid)
    await place.write(partial(change, body="changed", mentions=(), now_ms=NOW_MS + 1))
    shown |= {"body": "changed", "mentions": [], "edited_at": "2027-01-15T08:00:00.001Z"}
    assert await place.alice.call("GET", f"{chat}/messages/{stored.uuid}") == shown
    remove = partial(delete_message, chat_id=stored.chat_id, sender_id=stored.sender_id, uuid=stored.uuid)
    await place.write(partial(remove, now_ms=NOW_MS + 1))
    assert (await place.alice.call("GET", f"{chat}/messages"))["items"] == [
        shown | {"body": "", "deleted": True}
    ]


async def test_a_message_is_known_by_its_id_and_its_sender(place: Place) -> None:
    (alices,) = await place.post(PLAIN, place.alice, "Alice's")
    path, alice_id = f"{PLAIN}/messages/{alices.uuid}", alices.sender_id
    assert (await place.bob.call("GET", f"{path}?sender_id={alice_id}"))["body"] == "Alice's"
    for missing in (
        path,
        f"{path}?sender_id={alice_id + 1}",
        f"{PLAIN}/messages/x%00%ff?sender_id={alice_id}",
    ):
        await place.bob.refused(ErrorCode.NOT_FOUND, "GET", missing)
    elsewhere = f"chats/901/messages/{alices.uuid}?sender_id={alice_id}"
    assert alices.uuid in await place.bob.refused(ErrorCode.NOT_FOUND, "GET", elsewhere)


# Read marks


async def test_what_was_read_is_kept_and_the_rest_is_unread(place: Place) -> None:
    await place.post(PLAIN, place.alice, *"abcde")
    assert await place.bob.call("GET", f"{PLAIN}/unread") == {"chat_id": 900, "unread": 5}
    told = await place.bob.call("PUT", f"{PLAIN}/read", {"seq": 3})
    bob_id = await place.bob.user_id()
    assert (told["chat_id"], told["unread"]) == (900, 2)
    assert told["receipt"].items() >= {"user_id": bob_id, "delivered_seq": 3, "read_seq": 3}.items()
    assert told["receipt"]["updated_at"].endswith("Z")
    assert (await place.bob.call("GET", f"{PLAIN}/unread"))["unread"] == 2
    assert (await place.alice.call("GET", f"{PLAIN}/receipts"))["items"] == [told["receipt"]]
    assert await place.alice.call("GET", f"{PLAIN}/unread") == {"chat_id": 900, "unread": 0}


async def test_a_mark_never_goes_back_nor_beyond_the_end(place: Place) -> None:
    await place.post(PLAIN, place.alice, *"abc")
    marks = []
    for seq in (2, 0, 1, 2**53 - 1, 1):
        told = await place.bob.call("PUT", f"{PLAIN}/read", {"seq": seq})
        marks.append((told["receipt"]["read_seq"], told["unread"]))
    assert marks == [(2, 1), (2, 1), (2, 1), (3, 0), (3, 0)]


async def test_a_mark_that_is_none_is_refused(place: Place) -> None:
    await place.post(PLAIN, place.alice, "a")
    wrong = ({"seq": seq} for seq in (-1, "1", 1.5, True, None, 2**53))
    for body in (None, {}, {"seq": 1, "user_id": 2}, *wrong):
        await place.bob.refused(ErrorCode.INVALID_PARAMETER, "PUT", f"{PLAIN}/read", body)
    assert (await place.bob.call("GET", f"{PLAIN}/unread"))["unread"] == 1


# Unread in many chats


async def member_of(place: Place, project: str, who: Person, role: str = "viewer") -> None:
    await place.alice.call("PUT", f"{project}/members/{await who.user_id()}", {"role": role})


async def test_all_chats_of_the_callers_projects_are_counted(place: Place) -> None:
    project, other, secret = [await place.alice.project(name) for name in ("Game", "Other", "Secret")]
    chats = [await place.alice.part(each, "chats") for each in (project, project, other, secret)]
    for length, chat in enumerate(chats, 1):
        await place.post(chat, place.alice, *map(str, range(length)))
    for each in (project, other):
        await member_of(place, each, place.bob)
    counted = await place.bob.call("GET", "unread")
    assert unread_of(counted) == {chats[0]: 1, chats[1]: 2, chats[2]: 3}
    assert counted["complete"] is True
    await place.bob.call("PUT", f"{chats[1]}/read", {"seq": 1})
    await member_of(place, chats[0], place.bob, "none")
    await place.alice.call("DELETE", other)
    assert unread_of(await place.bob.call("GET", "unread")) == {chats[1]: 1}


async def test_a_role_in_one_chat_alone_is_enough(place: Place) -> None:
    project = await place.alice.project()
    chats = [await place.alice.part(project, "chats") for _ in range(2)]
    for chat in chats:
        await place.post(chat, place.alice, "hello")
    await member_of(place, chats[1], place.bob)
    assert unread_of(await place.bob.call("GET", "unread")) == {chats[1]: 1}
    assert len(await found(place.bob, "hello")) == 1


async def test_of_chats_that_are_named_those_are_counted_that_the_caller_may_read(
    place: Place, chat: str
) -> None:
    await place.post(chat, place.alice, "secret")
    await place.post(PLAIN, place.alice, "a", "b")
    named = ",".join(map(str, (900, number_of(chat), 900, 10**18 - 1)))
    counted = await place.bob.call("GET", f"unread?chats={named}")
    assert unread_of(counted) == {PLAIN: 2, f"chats/{10**18 - 1}": 0}
    assert unread_of(await place.alice.call("GET", f"unread?chats={number_of(chat)}")) == {chat: 0}


async def test_a_list_of_chats_that_is_none_is_refused(place: Place) -> None:
    for chats in ("", ",", "1,", "a", "0", "-1", "1;2", "1, 2", "٣", "1" * 19, ",".join(["1"] * 201)):
        reason = await place.alice.refused(ErrorCode.INVALID_PARAMETER, "GET", f"unread?chats={chats}")
        assert "chats" in reason


# Search


async def test_search_finds_words_in_the_chats_that_the_caller_may_read(place: Place, chat: str) -> None:
    project = await place.alice.project()
    shared = await place.alice.part(project, "chats")
    await member_of(place, project, place.bob)
    await place.post(chat, place.alice, "The secret door")
    await place.post(shared, place.alice, "The red door", "Something else", "A blue door")
    assert await found(place.bob, "DOOR") == ["A blue door", "The red door"]
    assert await found(place.alice, "the do") == ["The red door", "The secret door"]
    assert await found(place.alice, "door", chat=number_of(chat)) == ["The secret door"]
    assert await found(place.alice, "door", project=number_of(project)) == ["A blue door", "The red door"]
    assert await found(place.bob, '"') == await found(place.bob, "§1 OR door*") == []


async def test_what_is_found_comes_a_page_at_a_time_each_once(place: Place) -> None:
    project = await place.alice.project()
    chats = [await place.alice.part(project, "chats") for _ in range(3)]
    for number in range(7):
        await place.post(chats[number % 3], place.alice, f"word {number}", "other")
    for scope in ({}, {"project": number_of(project)}):
        got = await pages(place.alice, "search/messages", q="word", limit=3, **scope)
        assert got == [["word 6", "word 5", "word 4"], ["word 3", "word 2", "word 1"], ["word 0"]]


async def test_a_chat_of_no_project_is_searched_where_it_is_named(place: Place) -> None:
    await place.post(PLAIN, place.alice, "hello")
    assert await found(place.bob, "hello", chat=900) == ["hello"]
    assert await found(place.bob, "hello") == []
    guest = place.person("guest", {"chat:900": Role.VIEWER, "chat:901": Role.NONE, "chat:*": Role.NONE})
    assert await found(guest, "hello") == ["hello"]
    assert unread_of(await guest.call("GET", "unread")) == {PLAIN: 1}


async def test_a_role_that_is_taken_away_takes_the_messages_with_it(place: Place) -> None:
    project = await place.alice.project()
    chats = [await place.alice.part(project, "chats") for _ in range(2)]
    await member_of(place, project, place.bob)
    for chat in chats:
        await place.post(chat, place.alice, f"hello in {chat}")
    await member_of(place, chats[0], place.bob, "none")
    assert await found(place.bob, "hello") == [f"hello in {chats[1]}"]
    await place.alice.call("DELETE", chats[1])
    assert await found(place.bob, "hello") == []
    assert await found(place.alice, "hello") == [f"hello in {chats[0]}"]
    await place.alice.refused(
        ErrorCode.NOT_FOUND, "GET", f"search/messages?q=hello&chat={number_of(chats[1])}"
    )


async def test_grants_limit_what_is_found_and_counted(place: Place) -> None:
    project = await place.alice.project()
    chats = [await place.alice.part(project, "chats") for _ in range(3)]
    for chat in chats:
        await place.post(chat, place.bob, f"hello in {chat}")
    await member_of(place, chats[2], place.alice, "none")
    room = chats[0].replace("chats/", "chat:")
    for grants, readable in (
        ({room: Role.VIEWER}, chats[:1]),
        ({"chat:*": Role.EDITOR}, chats[:2]),
        ({chats[2].replace("chats/", "chat:"): Role.ADMIN}, []),
        ({"workspace:*": Role.EDITOR, "project:*": Role.ADMIN}, []),
        ({}, []),
    ):
        limited = place.person("alice", grants)
        assert await found(limited, "hello") == [f"hello in {chat}" for chat in reversed(readable)]
        assert unread_of(await limited.call("GET", "unread")) == dict.fromkeys(readable, 1)
        named = ",".join(str(number_of(chat)) for chat in chats)
        assert unread_of(await limited.call("GET", f"unread?chats={named}")) == dict.fromkeys(readable, 1)


async def test_where_grants_are_the_authority_they_alone_say_what_is_found(hosted: Place) -> None:
    host = hosted.person("host", {"*": Role.ADMIN, "global": Role.ADMIN})
    project = await host.project()
    chats = [await host.part(project, "chats") for _ in range(2)]
    for chat in chats:
        await hosted.post(chat, host, f"hello in {chat}")
    rooms = [chat.replace("chats/", "chat:") for chat in chats]
    guest = hosted.person("guest", {rooms[1]: Role.VIEWER})
    assert await found(guest, "hello") == [f"hello in {chats[1]}"]
    assert unread_of(await guest.call("GET", "unread")) == {chats[1]: 1}
    member = hosted.person(
        "host", {rooms[0]: Role.VIEWER}
    )  # a member of the project, which counts for nothing
    assert await found(member, "hello") == [f"hello in {chats[0]}"]
    for who in (
        hosted.person("guest"),
        hosted.person("host"),
        hosted.person("guest", {"project:*": Role.ADMIN}),
    ):
        assert await found(who, "hello") == []
        assert unread_of(await who.call("GET", "unread")) == {}
        named = ",".join(str(number_of(chat)) for chat in chats)
        assert unread_of(await who.call("GET", f"unread?chats={named},900")) == {}
        await who.refused(ErrorCode.NOT_FOUND, "GET", f"search/messages?q=hello&chat={number_of(chats[0])}")


async def test_a_search_that_is_none_is_refused(place: Place) -> None:
    for query in (
        "",
        "q=",
        f"q={'a' * 1001}",
        *(f"q=a&{more}" for more in ("limit=0", "limit=201", "before=0", "chat=x", "chat=0")),
        f"q=a&chat={10**18}",
        f"q=a&project={2**31}",
        "q=a&chat=1&project=1",
    ):
        await place.alice.refused(ErrorCode.INVALID_PARAMETER, "GET", f"search/messages?{query}")


async def test_numbers_beyond_all_databases_are_no_failure(place: Place) -> None:
    await place.post(PLAIN, place.alice, "hello")
    for path in (f"{PLAIN}/messages", "search/messages?q=hello&chat=900"):
        mark = "&" if "?" in path else "?"
        page = await place.alice.call("GET", f"{path}{mark}before={10**30}")
        assert bodies(page) == ["hello"]


@pytest.mark.parametrize("most", [{"MAX_CHATS": 2}, {"MAX_PROJECTS": 1}])
async def test_who_has_very_many_chats_is_told_that_not_all_were_looked_at(
    place: Place, monkeypatch: pytest.MonkeyPatch, most: dict[str, int]
) -> None:
    projects = [await place.alice.project() for _ in range(2)]
    chats = [await place.alice.part(project, "chats") for project in (projects[0], *projects)]
    for chat in chats:
        await place.post(chat, place.bob, "hello")
    assert (await place.alice.call("GET", "unread"))["complete"] is True
    for name, value in most.items():
        monkeypatch.setattr(rest_chats, name, value)
    counted = await place.alice.call("GET", "unread")
    assert (unread_of(counted), counted["complete"]) == (dict.fromkeys(chats[:2], 1), False)
    page = await place.alice.call("GET", "search/messages?q=hello")
    assert (len(page["items"]), page["complete"]) == (2, False)
    page = await place.alice.call("GET", f"search/messages?q=hello&project={number_of(projects[1])}")
    assert (len(page["items"]), page["complete"]) == (1, True)


# Who may


async def test_a_chat_of_others_and_one_that_is_gone_are_answered_alike(place: Place, chat: str) -> None:
    gone = await place.alice.part(await place.alice.project(), "chats")
    for each in (chat, gone):
        await place.post(each, place.alice, "hello")
    await place.alice.call("DELETE", gone)
    for method, path, body in OF_CHAT:
        for who, each in ((place.bob, chat), (place.bob, gone), (place.alice, gone)):
            asked = path.format(chat=each, number=number_of(each))
            reason = await who.refused(ErrorCode.NOT_FOUND, method, asked, body)
            assert reason == f"there is no chat:{number_of(each)}, or not for you", asked
    assert (await place.alice.call("GET", f"{chat}/receipts"))["items"] == []


async def test_a_project_of_others_is_answered_as_one_that_there_is_not(place: Place) -> None:
    project = await place.alice.project()
    reasons = {
        (
            await place.bob.refused(ErrorCode.NOT_FOUND, "GET", f"search/messages?q=a&project={number}")
        ).replace(str(number), "N")
        for number in (number_of(project), 987_654)
    }
    assert reasons == {"there is no project:N, or not for you"}


async def test_a_number_that_is_no_chat_is_not_found(place: Place) -> None:
    for number in ("0", "-1", "007", "x", "9" * 30, "٣", "1%2F2"):
        for path in ("messages", "receipts", "unread"):
            await place.alice.refused(ErrorCode.NOT_FOUND, "GET", f"chats/{number}/{path}")


async def test_viewers_read_and_say_that_they_have(place: Place, chat: str) -> None:
    await place.post(chat, place.alice, "hello")
    await member_of(place, chat, place.bob, "viewer")
    (alice_id, number) = (await place.alice.user_id(), number_of(chat))
    for method, path, body in OF_CHAT:
        if "messages/m" not in path:
            await place.bob.call(method, path.format(chat=chat, number=number), body)
    (shown,) = (await place.bob.call("GET", f"{chat}/messages"))["items"]
    assert await place.bob.call("GET", f"{chat}/messages/{shown['id']}?sender_id={alice_id}") == shown


# With the rest of the server


async def test_what_is_said_in_the_room_is_read_here_and_what_is_read_here_is_told_there(
    place: Place,
) -> None:
    async with connect(f"{place.server.url}/events?token={place.alice.token}") as connection:
        alice = JsonClient(connection)
        await alice.ask("join_room", room="chat:900")
        message_id = "0d4c1f0e-8b5e-4c39-a9a7-0a8f1d7f6b1a"
        sent = await alice.ask("message", room="chat:900", id=message_id, body="Build 118 is up")
        assert sent["type"] == "ack", sent
        shown = await place.alice.call("GET", f"{PLAIN}/messages/{message_id}")
        assert (shown["body"], shown["seq"]) == ("Build 118 is up", sent["payload"]["seq"])
        assert await found(place.bob, "build", chat=900) == ["Build 118 is up"]
        await place.bob.call("PUT", f"{PLAIN}/read", {"seq": 1})
        read: Sequence[Any] = [{"user_id": await place.bob.user_id(), "status": "read", "seq": 1}]
        await alice.heard_of("message_status", room="chat:900", statuses=read)
