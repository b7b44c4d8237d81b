"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest

from server.api_errors import ErrorCode
from server.app import create_app
from server.protocol.closing import CloseCode
from server.settings import Settings
from tests.wire.test_documents_api import ROUTES

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bench" / "README.md"]

DOCUMENTS = ROOT / "docs" / "documents.md"

DOCUMENT_PATHS = {"documents", "copies", "stale-updates", "stale-update", "quarantine"}
"""What follows on /api/ in paths that are about documents; all routes are in docs/permissions.md."""


def document_rows() -> list[tuple[str, str, str, str]]:
    """Method, path, lowest role, errors."""
    row = r"^\| ([A-Z]+) \| `(.+?)` \| (\w+) \| .+? \| (?:(.+?) )?\|$"
    return re.findall(row, DOCUMENTS.read_text(), re.MULTILINE)


def test_every_close_code_is_a_row_of_its_page() -> None:
    rows = re.findall(
        r"\| (\d+) \| `(\w+)` \| (.+) \| (yes|no) \|", (ROOT / "docs/close-codes.md").read_text()
    )
    assert rows == [
        (str(int(code)), code.name, code.meaning, "yes" if code.client_should_reconnect else "no")
        for code in CloseCode
    ]


def test_every_error_is_a_row_of_its_page() -> None:
    rows = re.findall(r"\| `(\w+)` \| (\d+) \| (.+) \|", (ROOT / "docs/errors.md").read_text())
    assert rows == [(code.value, str(code.status), code.meaning) for code in ErrorCode]


async def test_every_route_of_documents_is_a_row_of_their_page(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, dev=True))
    async with app.router.lifespan_context(app):
        routes = {
            (method.upper(), path)
            for path, operations in app.openapi()["paths"].items()
            for method in operations
            if path.split("/")[2] in DOCUMENT_PATHS and path.endswith("/{room}")
        }
    assert sorted((method, path) for method, path, _, _ in document_rows()) == sorted(routes)


def test_the_role_of_a_route_is_the_one_it_is_tested_with() -> None:
    tested = {
        (
            route.method,
            f"/api/{re.sub(r'[0-9]+', '{stale_id}', route.about)}/{{room}}",
            route.lowest.name.lower(),
        )
        for route in ROUTES
    }
    assert {row[:3] for row in document_rows()} == tested


def test_errors_that_routes_are_said_to_answer_exist() -> None:
    named = {code for *_, errors in document_rows() for code in re.findall(r"`(\w+)`", errors)}
    assert named
    assert named <= {code.value for code in ErrorCode}


def test_settings_of_compaction_and_of_stale_updates_are_rows_of_their_page() -> None:
    rows = re.findall(r"\| `(COSTUDIO_\w+)` \| (\w+) \| (.+) \|", DOCUMENTS.read_text())
    assert sorted(rows) == sorted(
        (
            f"COSTUDIO_{name.upper()}",
            "unset" if field.default is None else str(field.default),
            field.description,
        )
        for name, field in Settings.model_fields.items()
        if name.startswith("compaction_") or name == "max_stale_bytes"
    )


def test_settings_of_memory_are_rows_of_their_page() -> None:
    rows = re.findall(r"\| `COSTUDIO_(\w+)` \| (\w+) \| (.+) \|", (ROOT / "docs/memory.md").read_text())
    assert {name for name, *_ in rows} >= {"MAX_MEMORY_BYTES", "MAX_EMPTY_ROOMS_BYTES"}
    for name, default, meaning in rows:
        field = Settings.model_fields[name.lower()]
        assert (default, meaning) == (
            "unset" if field.default is None else str(field.default),
            field.description,
        )


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
