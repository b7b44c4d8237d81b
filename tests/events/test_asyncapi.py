"""The description of the protocol has all of it, and is one that readers of JSON Schema take."""

import inspect
import json
import re
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel

from server.access.texts import Body
from server.events import models, sent_models
from server.events.asyncapi import asyncapi_document
from server.events.envelope import read_event, write_event
from server.events.routes import add_event_routes

DOCUMENT = asyncapi_document("1")
_BASES = {"Body", "BaseModel", "InRoom", "Sent", "SentInRoom", "Kept", "Status"}


def validator(message: str) -> Any:
    schema = DOCUMENT["components"]["messages"][message]["payload"]
    return jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]})


def test_every_type_and_every_model_is_in_it() -> None:
    messages = DOCUMENT["components"]["messages"]
    assert {f"client_{kind}" for kind in models.CLIENT_EVENTS} <= set(messages)
    assert {f"server_{kind}" for kind in sent_models.SERVER_EVENTS} <= set(messages)
    written = {
        name
        for module in (models, sent_models)
        for name, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, BaseModel) and value.__module__ == module.__name__
    }
    assert written - _BASES <= set(DOCUMENT["components"]["schemas"])


def test_every_reference_leads_somewhere() -> None:
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT))
    assert references
    for reference in references:
        part: Any = DOCUMENT
        for step in reference.split("/"):
            part = part[step]


@pytest.mark.parametrize("kind", sorted(models.CLIENT_EVENTS))
def test_what_it_lets_through_is_what_the_server_takes(kind: str) -> None:
    payloads: dict[str, dict[str, Any]] = {
        "connect": {"token": "t"},
        "join_room": {"room": "chat:1", "last_seq": 3},
        "message": {"room": "chat:1", "id": "a", "body": "hi"},
        "message_read": {"room": "chat:1", "seq": 3},
        "message_delivered": {"room": "chat:1", "seq": 3},
        "cursor": {"room": "chat:1", "cursor": [1, 2]},
        "file_update": {"room": "workspace:1", "path": "a.md", "version": "1.1", "text": ""},
        "disconnect": {},
        "ping": {},
    }
    payload = payloads.get(kind, {"room": "chat:1"})
    event = {"type": kind, "payload": payload, "id": "x"}
    assert validator(f"client_{kind}").is_valid(event)
    assert isinstance(read_event(json.dumps(event)).payload, Body)
    assert not validator(f"client_{kind}").is_valid({**event, "payload": {**payload, "more": 1}})


def test_what_the_server_writes_is_as_described() -> None:
    text = write_event("error", {"code": "not_json", "reason": "x"}, sender_id=None, at_ms=0, event_id=7)
    assert validator("server_error").is_valid(json.loads(text))
    text = write_event("user_left", {"room": "chat:1", "user_id": 3}, sender_id=3, at_ms=0)
    assert validator("server_user_left").is_valid(json.loads(text))
    assert not validator("server_user_left").is_valid(json.loads(text) | {"sender_id": "3"})


async def test_it_is_served_to_everybody() -> None:
    app = FastAPI()
    add_event_routes(app)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as http:
        answer = await http.get("/api/asyncapi.json")
    assert answer.json()["asyncapi"] == "3.0.0"
