"""Every role with every event of JSON clients: allowed or refused as the table of surfaces says."""

import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect

from auth.grants import Action, Grant, Role
from server.access.surfaces import EVENTS
from server.events.models import CLIENT_EVENTS
from tests.wire.conftest import RunningServer
from tests.wire.test_chat import JsonClient

ROOM = "chat:5"
PAYLOADS: dict[str, dict[str, Any]] = {
    "message": {"body": "hello"},
    "message_delivered": {"seq": 0},
    "message_read": {"seq": 0},
    "cursor": {"cursor": {"line": 1}},
}


@pytest.mark.parametrize("role", Role)
async def test_an_event_does_what_its_row_says(server: RunningServer, role: Role) -> None:
    async with AsyncExitStack() as stack:
        await server.client("owner", room=ROOM)  # so that the room is there
        url = f"{server.url}/events?token={server.token('guest', role, ROOM)}"
        client = JsonClient(await stack.enter_async_context(connect(url)))
        assert (await client.ask("ping"))["type"] == "pong"
        in_rooms = [kind for kind, surface in EVENTS.items() if isinstance(surface.need, Action)]
        in_rooms.remove("file_update")  # no event of chats
        for kind in sorted(in_rooms, key=_order):
            payload = {"room": ROOM} | PAYLOADS.get(kind, {})
            if kind == "message":
                payload["id"] = str(uuid4())
            answer = await client.ask(kind, **payload)
            need = EVENTS[kind].need
            assert isinstance(need, Action)
            assert (answer["type"] == "ack") is Grant(role).allows(need), (kind, answer)


def _order(kind: str) -> int:
    """A room is joined first and left last."""
    return {"join_room": 0, "leave_room": 2}.get(kind, 1)


def test_every_event_of_clients_is_in_the_table_and_on_its_page() -> None:
    assert set(EVENTS) == set(CLIENT_EVENTS)
    page = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text()
    section = page.partition("## Events")[2].partition("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(kind, str(surface)) for kind, surface in EVENTS.items()]
