"""docs/events.md says what the code does, and its examples are events."""

import json
import re
from pathlib import Path

from server.events.envelope import read_event
from server.events.errors import EventErrorCode
from server.events.models import CLIENT_EVENTS
from server.events.sent_models import SERVER_EVENTS, ConnectAck, JoinAck
from tests.events.test_asyncapi import validator

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[tuple[str, ...]]:
    found = re.findall(r"^\| `(\w+)` \|(.*?) ?\|", section(title), re.MULTILINE)
    assert found
    return found


def test_every_error_is_a_row() -> None:
    assert rows("Errors") == [(code.value, f" {code.meaning}") for code in EventErrorCode]


def test_every_event_of_clients_is_a_row_with_its_payload() -> None:
    said = {kind: dict(re.findall(r"`(\w+)`(\??)", payload)) for kind, payload in rows("What clients send")}
    assert said == {
        kind: {name: "" if field.is_required() else "?" for name, field in model.model_fields.items()}
        for kind, model in CLIENT_EVENTS.items()
    }


def test_every_event_of_the_server_is_a_row() -> None:
    assert [kind for kind, _ in rows("What the server sends")] == list(SERVER_EVENTS)


def test_what_rows_of_the_server_name_is_in_the_models() -> None:
    for kind, payload in rows("What the server sends"):
        named = set(re.findall(r"`(\w+)`", payload)) - {"members"}
        assert named <= set(SERVER_EVENTS[kind].model_fields), kind


def test_the_examples_are_events() -> None:
    texts = [text for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) for text in _events(block)]
    assert len(texts) == 5
    for text in texts:
        event = json.loads(text)
        if event["type"] == "ack":
            model = ConnectAck if "user_id" in event["payload"] else JoinAck
            model.model_validate(event["payload"])
            assert validator("server_ack").is_valid(event)
        else:
            read_event(text)


def _events(block: str) -> list[str]:
    """One or more JSON values that follow each other."""
    decoder, texts = json.JSONDecoder(), []
    while block := block.strip():
        _, end = decoder.raw_decode(block)
        texts.append(block[:end])
        block = block[end:]
    return texts
