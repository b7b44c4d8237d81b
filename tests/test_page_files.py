"""How long browsers keep the files of the studio."""

from pathlib import Path

import httpx
import pytest

from server.page_files import PageFiles


@pytest.fixture
def browser(tmp_path: Path) -> httpx.AsyncClient:
    """A client of a page with an asset."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "index-1a2b.js").write_text("1")
    transport = httpx.ASGITransport(PageFiles(directory=tmp_path, html=True))
    return httpx.AsyncClient(transport=transport, base_url="http://studio")


async def test_what_is_named_by_its_content_is_kept_for_good(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/assets/index-1a2b.js")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


async def test_the_page_is_asked_for_again_and_sent_again_only_if_it_is_another(
    browser: httpx.AsyncClient,
) -> None:
    page = await browser.get("/")
    assert page.headers["Cache-Control"] == "no-cache"
    again = await browser.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status_code == httpx.codes.NOT_MODIFIED
