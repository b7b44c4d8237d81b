"""Long threads under people who mean harm, come all at once, or come at the wrong moment."""

import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from pycrdt import Array, Doc, Map

from server.engine.document import EngineFailure
from server.protocol.yjs_messages import sync_step_2, update_message
from server.rooms import intake
from server.rooms import room as rooms
from tests.wire.conftest import RunningServer, run_server
from tests.wire.test_chat import ROOM, SENT_AT, Chat, YjsClient, send
from tests.wire.test_segments import FULL, bodies, chat, fill, numbers, pages, rolled, server, thread_of

__all__ = ["chat", "server"]  # fixtures


async def replicas_of_the_first_part(chat: Chat, *users: str) -> list[YjsClient]:
    """People who have left with a copy of a thread that is nearly full, and then is."""
    alice = await chat.json("alice")
    await fill(alice, 1, FULL - 1)
    people = [await chat.yjs(user) for user in users]
    for each in people:
        await each.until(lambda messages: len(messages) == FULL - 1)
        await each.client.connection.close()
    await fill(alice, FULL, FULL)
    await rolled(chat.server, 2)
    return people


async def bring(server: RunningServer, user: str, update: bytes) -> int:
    """Come back to the chat with this; the code that ends it."""
    client = await server.client(user, room=ROOM)
    await client.until(lambda: bool(client.questions()))
    await client.send(sync_step_2(update))
    return await client.close_code()


async def test_many_replicas_of_a_closed_part_come_at_once(server: RunningServer, chat: Chat) -> None:
    names = [f"user{number}" for number in range(6)]
    people = await replicas_of_the_first_part(chat, *names)
    for name, person in zip(names, people, strict=True):
        person.compose(f"late {name}")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name, person in zip(names, people, strict=True):
                tasks.start_soon(bring, server, name, person.doc.get_update())
    late = {each["body"] for each in await pages(server) if each["body"].startswith("late")}
    assert late == {f"late {name}" for name in names}


async def test_nobody_brings_to_a_closed_part_what_others_have_not_said(
    server: RunningServer, chat: Chat
) -> None:
    alice = await chat.json("alice")
    bob, mallory = await chat.yjs("bob"), await chat.yjs("mallory")
    await bob.send(bob.compose("said by bob"))
    await alice.message("said by bob")
    await mallory.until(lambda messages: len(messages) == 1)
    for each in (bob, mallory):
        await each.client.connection.close()
    await fill(alice, 2, FULL)
    await rolled(server, 2)
    forger: Doc[Any] = Doc(client_id=bob.doc.client_id)
    forger.apply_update(mallory.doc.get_update())
    messages = forger.get("messages", type=Array)
    with forger.transaction():
        forged = {"id": str(uuid.uuid4()), "sender_id": bob.user_id, "body": "forged", "sent_at": SENT_AT}
        messages.append(Map(forged))
        messages[0]["body"] = "forged"
    assert await bring(server, "mallory", forger.get_update()) == 4409
    await send(alice, "after")
    assert "forged" not in [each["body"] for each in await pages(server)]


async def test_a_room_that_was_closed_does_not_roll_over_any_more(tmp_path: Path) -> None:
    async with (
        run_server(tmp_path, chat_segment_messages=FULL, room_linger_seconds=0.2) as server,
        AsyncExitStack() as stack,
    ):
        alice = await Chat(server, stack).json("alice")
        await fill(alice, 1, FULL)
        await rolled(server, 2)
        more = await fill(alice, FULL + 1, 2 * FULL)  # due, but for the pause
        react = {"action": "react", "reaction": "🎉", "author_id": alice.user_id}
        await alice.done("message", room=ROOM, id=more[0], **react)
        await alice.done("leave_room", room=ROOM)
        with anyio.fail_after(10):
            while ROOM in server.app.state.rooms.rooms:
                await anyio.sleep(0.02)
        await alice.done("join_room", room=ROOM)
        await send(alice, "on we go")
        doc = await rolled(server, 3)
        assert numbers(doc)[-1] == 2 * FULL + 1
        closed = await thread_of(server, f"{ROOM}@2")
        assert len(closed.get("reactions", type=Map).to_py() or {}) == 1


async def test_a_small_segment_is_not_rolled_over_again_and_again(tmp_path: Path) -> None:
    async with run_server(tmp_path, chat_segment_messages=5) as server, AsyncExitStack() as stack:
        alice = await Chat(server, stack).json("alice")
        await fill(alice, 1, 5)
        await rolled(server, 2)
        room = server.app.state.rooms.rooms[ROOM]
        assert room.rules.thread.size == 1
        server.app.state.rooms._on_emptied(room)
        await send(alice, "next")
        assert room.rules.thread.segment == 2


async def test_a_closed_part_that_has_not_heard_of_an_edit_does_not_undo_it(
    server: RunningServer, chat: Chat
) -> None:
    alice = await chat.json("alice")
    await fill(alice, 1, FULL - 1)
    carol, json = await chat.yjs("carol"), await chat.json("carol")
    message = carol.compose("helo")
    await carol.send(message)
    sent = await alice.message("helo")
    await carol.until(lambda messages: "seq" in messages[-1])
    await carol.client.connection.close()
    await fill(alice, FULL + 1, FULL + 1)
    await rolled(server, 2)
    carol.client = await server.client("carol", room=f"{ROOM}@1")
    await carol.pull()
    await json.done("message", room=ROOM, id=sent["id"], action="edit", body="hello")
    with carol.doc.transaction():
        [held] = [each for each in carol.messages if each["body"] == "helo"]
        held["mentions"] = [alice.user_id]
    await carol.send(carol.doc.get_update())
    await alice.until(lambda event: event["payload"].get("mentions") == [alice.user_id])
    with anyio.fail_after(10):
        while True:
            newest = [each.to_py() for each in (await thread_of(server)).get("messages", type=Array)]
            found = [each for each in newest if each["id"] == sent["id"]]
            if found and found[0].get("mentions") == [alice.user_id]:
                break
            await anyio.sleep(0.02)
    assert found[0]["body"] == "hello"
    assert [each["body"] for each in await pages(server) if each["id"] == sent["id"]] == ["hello"]


async def test_reactions_to_what_was_carried_over_keep_their_order(server: RunningServer, chat: Chat) -> None:
    alice = await chat.json("alice")
    ids = await fill(alice, 1, FULL)
    await rolled(server, 2)
    carol = await chat.yjs("carol")
    carol.client = await server.client("carol", room=f"{ROOM}@1")
    await carol.client.sync()
    doc: Doc[Any] = Doc()
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    reactions = doc.get("reactions", type=Map)
    keys = [f"{ids[-1]}:{carol.user_id}:e{number}" for number in range(20)]
    for key in keys:
        reactions[key] = True
        del reactions[key]
        reactions[key] = True
    doc.unobserve(subscription)
    for update in updates:
        await carol.client.send(update_message(update))
    with anyio.fail_after(10):
        while (await thread_of(server)).get("reactions", type=Map).to_py() != dict.fromkeys(keys, True):
            await anyio.sleep(0.02)


async def test_an_engine_that_fails_where_a_part_is_put_right_costs_that_part_alone(
    server: RunningServer, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await chat.json("alice")
    ids = await fill(alice, 1, FULL)
    await rolled(server, 2)
    await alice.done("message", room=ROOM, id=ids[-1], action="edit", body="newest")
    failures: list[bytes] = []
    apply = intake.apply

    def fails_once(document: Any, update: bytes) -> Any:
        if not failures:
            failures.append(update)
            raise EngineFailure("once")
        return apply(document, update)

    monkeypatch.setattr(rooms, "apply", fails_once)
    client = await server.client("carol", room=f"{ROOM}@1")
    assert await client.close_code() == 1011
    assert bodies(await thread_of(server, f"{ROOM}@1"))[-1] == "newest"
    await send(alice, "on we go")


async def test_a_fault_in_what_is_taken_over_ends_nothing_and_loses_nothing(
    server: RunningServer, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    (carol,) = await replicas_of_the_first_part(chat, "carol")
    carol.compose("late")

    async def fail(*_: object) -> bool:
        raise KeyError("unforeseen")

    monkeypatch.setattr(server.app.state.rooms, "_on_stale", fail)
    assert await bring(server, "carol", carol.doc.get_update()) == 4409
    assert len(await server.app.state.documents._stale.list(ROOM)) == 1


async def test_the_answer_to_an_edit_of_an_old_message_names_the_chat(
    server: RunningServer, chat: Chat
) -> None:
    alice = await chat.json("alice")
    ids = await fill(alice, 1, FULL)
    await rolled(server, 2)
    answer = await alice.done("message", room=ROOM, id=ids[0], action="edit", body="the first")
    assert answer["room"] == ROOM
