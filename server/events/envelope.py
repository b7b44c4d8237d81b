"""Events as text: `{"type", "payload", "timestamp", "sender_id"}`, and `id` where a client wants an answer. Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from server.access.texts import Body
from server.events.errors import EventError, EventErrorCode
from server.events.models import CLIENT_EVENTS, storable
from server.events.sent_models import SERVER_EVENTS

MAX_ID_CHARACTERS = 128
AnyModel = TypeVar("AnyModel", bound=BaseModel)
_MAX_ID = 2**53 - 1
_MAX_REASON_CHARACTERS = 500  # some quote what the client has sent

EventId = Annotated[
    Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS), AfterValidator(storable)]
    | Annotated[int, Field(ge=-_MAX_ID, le=_MAX_ID)],
    Field(union_mode="left_to_right"),
]
"""The client's own, repeated in the one answer."""


class Envelope(BaseModel):
    """What stands around every payload. Of clients, `timestamp` and `sender_id` are not looked at."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Annotated[str, Field(min_length=1, max_length=64)]
    payload: dict[str, Any] = {}
    timestamp: Annotated[str, Field(max_length=64)] | None = None
    sender_id: int | Annotated[str, Field(max_length=256)] | None = None
    id: EventId | None = None


class ClientEvent(NamedTuple):
    """What a client has sent; `payload` is of the model of its type."""

    type: str
    payload: Body
    id: str | int | None


class UnreadableEvent(EventError):
    """A message that is no event. `id` is the one it bears, if that can be told."""

    def __init__(self, code: EventErrorCode, reason: str, event_id: str | int | None = None) -> None:
        super().__init__(code, reason)
        self.id = event_id


def read_event(text: str) -> ClientEvent:
    """Raises UnreadableEvent, and nothing else whatever the text is."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableEvent(EventErrorCode.NOT_JSON, f"not JSON: {error}") from None
    event_id = _id_of(value)
    envelope = _validate(Envelope, value, EventErrorCode.BAD_ENVELOPE, event_id)
    model = CLIENT_EVENTS.get(envelope.type)
    if model is None:
        known = envelope.type in SERVER_EVENTS
        code = EventErrorCode.UNSUPPORTED if known else EventErrorCode.UNKNOWN_TYPE
        raise UnreadableEvent(code, code.meaning, event_id)
    payload = _validate(model, envelope.payload, EventErrorCode.INVALID_PAYLOAD, event_id)
    return ClientEvent(envelope.type, payload, event_id)


def _id_of(value: object) -> str | int | None:
    try:
        return _OnlyId.model_validate(value).id
    except ValidationError:
        return None


class _OnlyId(BaseModel):
    model_config = ConfigDict(strict=True)

    id: EventId | None = None


def _validate(
    model: type[AnyModel], value: object, code: EventErrorCode, event_id: str | int | None
) -> AnyModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        where = ".".join(map(str, faults[0]["loc"][:3])) or "event"
        reason = f"{where}: {faults[0]['msg'].removeprefix('Value error, ')}".encode(
            errors="replace"
        ).decode()
        raise UnreadableEvent(code, reason[:_MAX_REASON_CHARACTERS], event_id) from None


def write_event(
    kind: str,
    payload: Mapping[str, Any],
    *,
    sender_id: int | None,
    at_ms: int,
    event_id: str | int | None = None,
) -> str:
    """The text of an event; `sender_id` is None where the server speaks. Raises ValueError for what is no JSON."""
    event: dict[str, Any] = {
        "type": kind,
        "payload": payload,
        "timestamp": iso_time(at_ms),
        "sender_id": sender_id,
    }
    if event_id is not None:
        event["id"] = event_id
    return _ENCODER.encode(event)


def iso_time(at_ms: int) -> str:
    """ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
