"""docs/locks.md says what the code does."""

import json
import re
from pathlib import Path

from crdt_store.lock_rows import LockEvent
from server.locks.rest_models import LockModel
from server.locks.rules import LockKind
from server.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "locks.md").read_text()


def test_every_setting_is_a_row() -> None:
    rows = re.findall(r"\| `COSTUDIO_(\w+)` \| (\w+) \| (.+) \|", PAGE)
    named = {name for name in Settings.model_fields if re.match("lock_|max_(lock|lease|held_edits)", name)}
    assert {name.lower() for name, *_ in rows} == named
    for name, default, meaning in rows:
        field = Settings.model_fields[name.lower()]
        assert default == ("unset" if field.default is None else str(field.default))
        assert meaning == field.description


def test_kinds_and_changes_are_named_in_order() -> None:
    assert re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE) == list(LockKind)
    said = PAGE.split("`change`: ")[1].split(";")[0]
    assert re.findall(r"`(\w+)`", said) == list(LockEvent)


def test_examples_are_json_and_the_lock_is_one() -> None:
    examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert len(examples) == 3
    assert set(LockModel.model_validate(examples[0]).model_dump()) == set(examples[0])
