"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest

from auth.grants import ALLOWED
from server.protocol.closing import CloseCode
from server.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bench" / "README.md"]


def test_every_close_code_is_a_row_of_its_page() -> None:
    rows = re.findall(
        r"\| (\d+) \| `(\w+)` \| (.+) \| (yes|no) \|", (ROOT / "docs/close-codes.md").read_text()
    )
    assert rows == [
        (str(int(code)), code.name, code.meaning, "yes" if code.client_should_reconnect else "no")
        for code in CloseCode
    ]


def test_every_permission_is_a_row_of_its_page() -> None:
    rows = re.findall(r"\| ([a-z ]+) \| ([a-z]+) \|", (ROOT / "docs/permissions.md").read_text())
    assert rows == [(action.value, role.name.lower()) for action, role in ALLOWED.items()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_are_mentioned_exist(page: Path) -> None:
    known = {f"COSTUDIO_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"COSTUDIO_[A-Z_]+[A-Z]", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_are_mentioned_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)`", page.read_text())) <= targets
