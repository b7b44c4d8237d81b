"""The table of limits is whole, shown, and documented."""

import re
from pathlib import Path

import httpx
from fastapi import FastAPI

from server.limits.routes import add_limit_routes
from server.limits.table import LIMITS
from server.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"


def test_every_limit_of_the_settings_is_in_the_table_once() -> None:
    names = [limit.name for limit in LIMITS]
    assert len(names) == len(set(names))
    assert {name for name in Settings.model_fields if name.startswith("max_")} <= set(names)
    assert set(names) <= Settings.model_fields.keys()


def test_the_table_is_the_one_of_its_page() -> None:
    cell = r"([^|\n]+)"
    rows = re.findall(rf"^\| `(\w+)` \| {cell} \| {cell} \| {cell} \| {cell} \|$", PAGE.read_text(), re.M)
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert rows == [
        (
            limit.name,
            "unset" if defaults[limit.name] is None else str(defaults[limit.name]),
            limit.unit,
            limit.applies_to,
            limit.beyond,
        )
        for limit in LIMITS
    ]


async def test_anybody_may_see_the_limits_as_they_are_set() -> None:
    app = FastAPI()
    add_limit_routes(app, Settings(max_json_bytes=77))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(verify=False, transport=transport, base_url="http://test") as http:
        shown = (await http.get("/api/limits")).json()
    assert [each["name"] for each in shown] == [limit.name for limit in LIMITS]
    by_name = {each["name"]: each for each in shown}
    assert by_name["max_json_bytes"]["value"] == 77
    assert by_name["max_json_bytes"]["unit"] == "bytes"
    assert by_name["max_memory_bytes"]["value"] is None
