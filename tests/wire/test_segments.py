"""A long thread goes on in a new document; nothing of it is lost, and what comes late finds its place."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from pycrdt import Array, Doc, Map

from auth.grants import Role
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import LogUnavailable, Row
from server.protocol.yjs_messages import sync_step_2
from tests.wire.conftest import RunningServer, run_server
from tests.wire.test_chat import ROOM, Chat, JsonClient, send

FULL = 20
KEPT = 2


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with run_server(tmp_path, chat_segment_messages=FULL) as running:
        yield running


@pytest.fixture
async def chat(server: RunningServer) -> AsyncIterator[Chat]:
    async with AsyncExitStack() as stack:
        yield Chat(server, stack)


async def fill(client: JsonClient, first: int, last: int) -> list[str]:
    """Messages with these numbers in the thread; their ids."""
    answers = [await send(client, f"message {number}") for number in range(first, last + 1)]
    assert [answer["seq"] for answer in answers] == list(range(first, last + 1))
    return [answer["id"] for answer in answers]


async def thread_of(server: RunningServer, room: str = ROOM) -> Doc[Any]:
    """What a newcomer is sent."""
    client = await server.client("reader", room=room, role=Role.VIEWER)
    doc: Doc[Any] = Doc()
    doc.apply_update(await client.sync())
    await client.connection.close()
    return doc


async def rolled(server: RunningServer, segment: int) -> Doc[Any]:
    """The thread once it has come to this segment."""
    rooms = server.app.state.rooms.rooms
    with anyio.fail_after(10):
        while rooms[ROOM].rules.thread.segment < segment:
            await anyio.sleep(0.02)
    return await thread_of(server)


def bodies(doc: Doc[Any]) -> list[str]:
    return [message["body"] for message in doc.get("messages", type=Array)]


def numbers(doc: Doc[Any]) -> list[int]:
    return [int(message["seq"]) for message in doc.get("messages", type=Array)]


async def pages(server: RunningServer, chat_id: int = 5) -> list[dict[str, Any]]:
    """All messages that the database has, oldest first."""
    headers = {"Authorization": f"Bearer {server.token('reader')}"}
    url = server.url.replace("ws:", "http:")
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=False) as http:
        found = (await http.get(f"/api/chats/{chat_id}/messages?limit=200")).raise_for_status().json()
    return list(reversed(found["items"]))


async def test_a_full_thread_goes_on_in_a_new_document_with_its_last_messages(
    server: RunningServer, chat: Chat
) -> None:
    alice = await chat.json("alice")
    ids = await fill(alice, 1, FULL)
    await alice.done("message", room=ROOM, id=ids[-1], action="react", reaction="🎉", author_id=alice.user_id)
    doc = await rolled(server, 2)
    assert numbers(doc) == [FULL - 1, FULL]
    assert dict(doc.get("thread", type=Map).to_py() or {}) == {
        "segment": 2,
        "first_seq": FULL - 1,
        "previous": f"{ROOM}@1",
    }
    closed = await thread_of(server, f"{ROOM}@1")
    assert numbers(closed) == list(range(1, FULL + 1))
    assert (await send(alice, "on we go"))["seq"] == FULL + 1
    assert [each["seq"] for each in await pages(server)] == list(range(1, FULL + 2))


async def test_json_clients_stay_in_the_room_and_yjs_clients_are_not_disturbed_before_it_is_ten_times_too_long(
    server: RunningServer, chat: Chat
) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    await fill(alice, 1, 2 * FULL)
    assert len(await carol.until(lambda messages: len(messages) == 2 * FULL)) == 2 * FULL
    await carol.client.connection.close()
    await fill(alice, 2 * FULL + 1, 2 * FULL + 1)
    assert numbers(await rolled(server, 2))[0] >= 2 * FULL - 1
    assert not any(event["type"] == "error" for event in alice.events)


async def test_a_thread_ten_times_too_long_sends_replicas_away_with_a_code_that_says_so(
    server: RunningServer, chat: Chat
) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    await fill(alice, 1, 10 * FULL)
    assert await carol.client.close_code() == 4409
    assert (await send(alice, "on we go"))["seq"] == 10 * FULL + 1


async def test_a_replica_of_a_closed_segment_brings_what_was_written_offline(
    server: RunningServer, chat: Chat
) -> None:
    alice, carol = await chat.json("alice"), await chat.yjs("carol")
    await fill(alice, 1, FULL - 1)
    await carol.until(lambda messages: len(messages) == FULL - 1)
    await carol.client.connection.close()
    for number in range(30):
        carol.compose(f"late {number}")
    await fill(alice, FULL, FULL)
    await rolled(server, 2)
    back = await server.client("carol", room=ROOM)
    await back.until(lambda: bool(back.questions()))
    await back.send(sync_step_2(carol.doc.get_update()))
    assert await back.close_code() == 4409
    await alice.message("late 29")
    told = [event["payload"] for event in alice.events if event["type"] == "message"]
    assert [each["body"] for each in told if each["body"].startswith("late")] == [
        f"late {number}" for number in range(30)
    ]
    stored = await pages(server)
    assert [each["seq"] for each in stored] == list(range(1, FULL + 31))
    with anyio.fail_after(10):  # all that is new, or what it has rolled over to since, ends with them
        while bodies(await thread_of(server))[-1] != "late 29":
            await anyio.sleep(0.02)


async def test_what_is_sent_and_edited_in_a_closed_segment_is_carried_over(
    server: RunningServer, chat: Chat
) -> None:
    alice = await chat.json("alice")
    await fill(alice, 1, FULL - 1)
    carol = await chat.yjs("carol")
    await carol.send(carol.compose("helo"))
    await alice.message("helo")
    await carol.until(lambda messages: "seq" in messages[-1])
    await carol.client.connection.close()
    await fill(alice, FULL + 1, FULL + 1)
    await rolled(server, 2)
    late = await server.client("carol", room=f"{ROOM}@1")
    carol.client = late
    await carol.pull()
    await carol.send(carol.compose("from the past"))
    with carol.doc.transaction():
        [message] = [each for each in carol.messages if each["body"] == "helo"]
        message["body"] = "hello"
    await carol.send(carol.doc.get_update())
    assert (await alice.message("from the past"))["seq"] == FULL + 2
    assert (await alice.message("hello"))["action"] == "edit"
    with anyio.fail_after(10):
        while set(bodies(doc := await thread_of(server))) != {
            "hello",
            f"message {FULL + 1}",
            "from the past",
        }:
            await anyio.sleep(0.02)
    assert numbers(doc) == [FULL, FULL + 1, FULL + 2]


async def test_json_clients_edit_and_react_to_messages_of_closed_segments(
    server: RunningServer, chat: Chat
) -> None:
    alice, bob = await chat.json("alice"), await chat.json("bob")
    ids = await fill(alice, 1, FULL)
    await rolled(server, 2)
    answer = await alice.done("message", room=ROOM, id=ids[0], action="edit", body="the first")
    assert answer["seq"] == 1
    await bob.done("message", room=ROOM, id=ids[1], action="react", reaction="👍", author_id=alice.user_id)
    assert (await bob.message("the first"))["action"] == "edit"
    closed = await thread_of(server, f"{ROOM}@1")
    assert bodies(closed)[0] == "the first"
    assert dict(closed.get("reactions", type=Map).to_py() or {}) == {f"{ids[1]}:{bob.user_id}:👍": True}
    assert (await pages(server))[0]["body"] == "the first"
    assert await bob.refused("message", room=ROOM, id=ids[0], action="edit", body="mine") == "not_found"


async def test_a_message_of_a_closed_segment_sent_again_stays_one_message(
    server: RunningServer, chat: Chat
) -> None:
    alice = await chat.json("alice")
    ids = await fill(alice, 1, FULL)
    await rolled(server, 2)
    again = await chat.json("alice")
    assert (await send(again, "message 1", id=ids[0]))["seq"] == 1
    carol = await chat.yjs("carol")
    own = str(uuid.uuid4())
    await carol.send(carol.compose("new", id=own))
    await carol.until(lambda messages: [each.get("seq") for each in messages][-1] == FULL + 1)
    assert [message["seq"] for message in await carol.pull()] == [FULL - 1, FULL, FULL + 1]
    assert len(await pages(server)) == FULL + 1


async def test_a_restart_finds_all_segments_again(tmp_path: Path) -> None:
    for first in (1, FULL - KEPT + 1 + KEPT):
        async with run_server(tmp_path, chat_segment_messages=FULL) as server, AsyncExitStack() as stack:
            alice = await Chat(server, stack).json("alice")
            await fill(alice, first, first + FULL - 1)
            segment = 2 if first == 1 else 3
            assert numbers(await rolled(server, segment))[-1] == first + FULL - 1
            for number in range(1, segment):
                assert numbers(await thread_of(server, f"{ROOM}@{number}"))[0] == max(
                    1, (number - 1) * FULL - 1
                )


async def test_nobody_makes_a_segment_that_was_never_closed(server: RunningServer, chat: Chat) -> None:
    client = await server.client("carol", room=f"{ROOM}@7")
    assert await client.close_code() == 4404


async def test_writing_goes_on_while_the_thread_rolls_over_many_times(
    server: RunningServer, chat: Chat
) -> None:
    alice, bob = await chat.json("alice"), await chat.json("bob")
    async with anyio.create_task_group() as tasks:
        for client in (alice, bob):
            tasks.start_soon(_say_much, client)
    stored = await pages(server)
    assert [each["seq"] for each in stored] == list(range(1, 101))
    assert len({each["id"] for each in stored}) == 100
    await bob.until(lambda event: event["payload"].get("seq") == 100)


async def _say_much(client: JsonClient) -> None:
    for number in range(50):
        await send(client, f"{client.user_id} {number}")


async def test_a_rollover_that_failed_halfway_is_made_up_for(tmp_path: Path) -> None:
    async with (
        run_server(tmp_path, open_log=FailingReplace, chat_segment_messages=FULL) as server,
        AsyncExitStack() as stack,
    ):
        alice = await Chat(server, stack).json("alice")
        await fill(alice, 1, FULL)
        with anyio.fail_after(10):
            while not FailingReplace.failures:
                await anyio.sleep(0.02)
        assert numbers(await thread_of(server)) == list(range(1, FULL + 1))
        await fill(alice, FULL + 1, FULL + 1)
        doc = await rolled(server, 2)
        assert numbers(doc) == [FULL, FULL + 1]
        assert numbers(await thread_of(server, f"{ROOM}@1")) == list(range(1, FULL + 2))


class FailingReplace(SqlUpdateLog):
    """A log that cannot begin the first new epoch."""

    failures = 0

    async def replace(self, row: Row, renamed: Mapping[int, int | None]) -> int:
        if not FailingReplace.failures:
            FailingReplace.failures += 1
            raise LogUnavailable("not this time")
        return await super().replace(row, renamed)


async def test_the_document_of_a_chat_is_neither_replaced_nor_deleted(
    server: RunningServer, chat: Chat
) -> None:
    await fill(await chat.json("alice"), 1, 2)
    headers = {"Authorization": f"Bearer {server.token('admin', Role.ADMIN)}"}
    url = server.url.replace("ws:", "http:")
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=False) as http:
        answers = [
            await http.put(f"/api/copies/{ROOM}", content=b"\0\0"),
            await http.delete(f"/api/documents/{ROOM}"),
        ]
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [
        (409, "kept_by_rules")
    ] * 2
    assert numbers(await thread_of(server)) == [1, 2]
