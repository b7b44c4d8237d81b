"""A server that ends between storing a message and writing its `seq` into the document: the next one writes it."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from server.chat.chats import Chats
from tests.wire.conftest import run_server
from tests.wire.test_chat import ROOM, Chat, send


async def test_seqs_that_were_not_written_in_time_are_written_when_the_chat_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        with monkeypatch.context() as stub:
            stub.setattr(Chats, "_write_numbers", lambda self, room: None)
            chat = Chat(server, stack)
            alice, carol = await chat.json("alice"), await chat.yjs("carol")
            edited = await send(alice, "one")
            await carol.send(carol.compose("two"))
            await alice.message("two")
            deleted = await send(alice, "three")
            await alice.done("message", room=ROOM, id=edited["id"], action="edit", body="uno")
            last = await alice.done("message", room=ROOM, id=deleted["id"], action="delete")
            assert not any("seq" in message for message in await carol.pull())

    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        chat = Chat(server, stack)
        alice, carol = await chat.json("alice", last_seq=last["event_seq"]), await chat.yjs("carol")
        messages = await carol.until(lambda messages: all("seq" in message for message in messages))
        held = {message["seq"]: (message["body"], message.get("deleted", False)) for message in messages}
        assert held == {1: ("uno", False), 2: ("two", False), 3: ("", True)}
        told = [message["server_time"] for message in messages if message["id"] == edited["id"]]
        assert told == [edited["server_time"]]

        answer = await send(alice, "four")  # nothing was told twice in between
        assert (answer["seq"], answer["event_seq"]) == (4, last["event_seq"] + 1)
