"""The JSON protocol as an AsyncAPI 3.0 document, generated from the models (asyncapi.com/docs/reference)."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.events.envelope import MAX_ID_CHARACTERS
from server.events.errors import EventErrorCode
from server.events.models import CLIENT_EVENTS
from server.events.sent_models import SERVER_EVENTS, ConnectAck, JoinAck, Present

_REF = "#/components/schemas/{model}"
_ANSWERS: Mapping[str, type[BaseModel]] = {"connect": ConnectAck, "join_room": JoinAck}
"""What an `ack` holds, by what it answers."""


def asyncapi_document(version: str) -> dict[str, Any]:
    """`version`: of the server."""
    sent = {f"client_{kind}": _message(kind, model, by_client=True) for kind, model in CLIENT_EVENTS.items()}
    received = {
        f"server_{kind}": _message(kind, model, by_client=False) for kind, model in SERVER_EVENTS.items()
    }
    answers = {
        f"server_ack_of_{kind}": _message("ack", model, by_client=False) for kind, model in _ANSWERS.items()
    }
    messages = sent | received | answers
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Costudio events",
            "version": version,
            "description": "Chat, presence and news of rooms in JSON, over one WebSocket.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": {
                "address": "/events",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"query": _query()}},
            }
        },
        "operations": {
            "receive": _operation("receive", sent),
            "send": _operation("send", received | answers),
        },
        "components": {"messages": messages, "schemas": _schemas()},
    }


def _operation(action: str, messages: Iterable[str]) -> dict[str, Any]:
    """`action` is the server's."""
    return {
        "action": action,
        "channel": {"$ref": "#/channels/events"},
        "messages": [{"$ref": f"#/channels/events/messages/{name}"} for name in messages],
    }


def _message(kind: str, model: type[BaseModel], *, by_client: bool) -> dict[str, Any]:
    envelope = {
        "type": "object",
        "required": ["type"] if by_client else ["type", "payload", "timestamp", "sender_id"],
        "additionalProperties": False,
        "properties": {
            "type": {"const": kind},
            "payload": {"$ref": _REF.format(model=model.__name__)},
            "timestamp": {"type": ["string", "null"] if by_client else "string", "format": "date-time"},
            "sender_id": {"type": ["integer", "string", "null"] if by_client else ["integer", "null"]},
            "id": {
                "description": "the client's own, repeated in the answer",
                "oneOf": [
                    {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS},
                    {"type": "integer"},
                ],
            },
        },
    }
    summary = " ".join((model.__doc__ or "").split())
    return {"name": kind, "summary": summary, "payload": envelope}


def _query() -> dict[str, Any]:
    names = {
        "token": "a token; or in the header `Authorization: Bearer`, or in the payload of `connect`",
        "ticket": "a one-use ticket for `room`",
        "room": "the room that the ticket is for",
    }
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": text} for name, text in names.items()},
    }


def _schemas() -> dict[str, Any]:
    models: dict[type[BaseModel], None] = dict.fromkeys(
        (*CLIENT_EVENTS.values(), *SERVER_EVENTS.values(), *_ANSWERS.values(), Present)
    )
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    schemas: dict[str, Any] = schema["$defs"]
    schemas["Error"]["properties"]["code"]["enum"] = [code.value for code in EventErrorCode]
    return schemas
