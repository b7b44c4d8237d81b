"""The terminal chat: what it shows, and that each line arrives once."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from auth.grants import Role
from server.chat_command import ChatClient, ChatEnded, events_url, printable
from server.events.handlers import Answer, Speaker
from server.events.models import Message
from server.rooms.names import RoomName
from tests.events.serving import EventsServer, run_events_server

CHAT = "chat:7"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EventsServer]:
    async with run_events_server(tmp_path) as running:
        said: dict[str, Answer] = {}

        async def message(speaker: Speaker, room: RoomName, message: Message) -> Answer:
            if message.id not in said:
                body, sender_id = message.body, speaker.identity.user_id
                running.history.keep(room.canonical, sender_id=sender_id, id=message.id, body=body)
                said[message.id] = {"id": message.id}
            return said[message.id]

        running.handlers["message"] = message
        yield running


class Terminal:
    """What is typed into a chat, and what it shows."""

    def __init__(self, server: EventsServer, user: str, role: Role = Role.EDITOR) -> None:
        self.shown: list[str] = []
        self._typed, self._lines = anyio.create_memory_object_stream[str](100)
        token = server.yjs.token(user, role)
        self.client = ChatClient(server.yjs.url.replace("ws:", "http:"), CHAT, token, self.shown.append)

    def type(self, line: str) -> None:
        self._typed.send_nowait(line + "\n")

    async def run(self) -> None:
        async with self._lines:
            await self.client.run(self._lines)

    def end(self) -> None:
        self._typed.close()

    async def until(self, holds: Callable[[list[str]], bool]) -> None:
        with anyio.fail_after(10):
            while not holds(self.shown):
                await anyio.sleep(0.01)


async def test_two_terminals_talk_and_see_each_other(server: EventsServer) -> None:
    alice, bob = Terminal(server, "alice"), Terminal(server, "bob")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alice.run)
        await alice.until(lambda shown: "* in chat:7 as editor, with alice" in shown)
        tasks.start_soon(bob.run)
        await alice.until(lambda shown: "* bob is here" in shown)
        bob.type("hello\x1b[2J")
        await alice.until(lambda shown: "bob: hello [2J" in shown)
        alice.type("hi")
        await bob.until(lambda shown: "alice: hi" in shown)
        bob.end()
        await alice.until(lambda shown: "* bob has left" in shown)
        alice.end()
    assert bob.shown == ["* in chat:7 as editor, with alice, bob", "bob: hello [2J", "alice: hi"]


async def test_typing_of_others_is_shown(server: EventsServer) -> None:
    alice, bob = Terminal(server, "alice"), await server.client("bob")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alice.run)
        await alice.until(lambda shown: bool(shown))
        await bob.ask("join_room", room=CHAT)
        await bob.say("typing_start", {"room": CHAT})
        await alice.until(lambda shown: "* bob is typing" in shown)
        alice.end()


async def test_after_a_broken_connection_nothing_is_lost_or_said_twice(server: EventsServer) -> None:
    alice, bob = Terminal(server, "alice"), await server.client("bob")
    await bob.ask("join_room", room=CHAT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alice.run)
        await alice.until(lambda shown: len(shown) == 1)
        alice.type("before")
        await alice.until(lambda shown: "alice: before" in shown)
        (connection,) = [each for each in server.endpoint._known if each.identity.principal.name == "alice"]
        connection.abort()
        server.history.keep(CHAT, body="missed")
        alice.type("after")
        await alice.until(lambda shown: "alice: after" in shown)
        alice.end()
    said = [each.payload["body"] for each in server.history.kept[CHAT]]
    assert said == ["before", "missed", "after"]
    assert [line.rpartition(": ")[2] for line in alice.shown if ": " in line] == said


async def test_who_may_not_come_in_is_told_why(server: EventsServer) -> None:
    nobody = Terminal(server, "nobody", Role.NONE)
    with pytest.raises(ChatEnded, match="no access"):
        await nobody.run()
    nobody.end()


def test_addresses_and_texts() -> None:
    assert events_url("https://example.org/studio/") == "wss://example.org/studio/events"
    assert events_url("ws://127.0.0.1:8000") == "ws://127.0.0.1:8000/events"
    assert printable("a\x1b]0;b\x07\u202ec") == "a ]0;b  c"
