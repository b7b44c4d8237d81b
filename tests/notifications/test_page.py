"""docs/notifications.md says what the code does."""

import re
from pathlib import Path
from typing import get_args

from crdt_store.notifications_preferences import MAX_ROOMS, Level
from server.notifications.models import LevelName, level_name
from server.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()


def test_every_setting_of_jobs_is_a_row() -> None:
    rows = re.findall(r"^\| `(COSTUDIO_\w+)` \| (\w+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (f"COSTUDIO_{name.upper()}", f"{field.default:g}", field.description)
        for name, field in Settings.model_fields.items()
        if name.startswith("job_")
    ]


def test_every_level_is_a_row() -> None:
    rows = re.findall(r"^\| `(mentions|all|mute)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(get_args(LevelName)) == sorted(level_name(level) for level in Level)
    assert f"{MAX_ROOMS:,} chats" in PAGE
