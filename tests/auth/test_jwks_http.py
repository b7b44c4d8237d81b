"""Published keys come over HTTP from the address that was set, in time and in bounds."""

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from auth import jwks_http
from auth.jwks import FetchFailed
from auth.jwks_http import MAX_BODY_BYTES, http_fetch

URL = "https://issuer.example/keys"


def answer(body: bytes) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(body))


async def fetch(given: httpx.Response) -> bytes:
    return await http_fetch(URL, transport=httpx.MockTransport(lambda request: given))()


async def test_the_body_of_a_good_answer_is_returned() -> None:
    assert await fetch(answer(b"keys")) == b"keys"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (httpx.Response(500), "500"),
        (httpx.Response(302, headers={"Location": "http://issuer.example/keys"}), "302"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example/keys"}), "302"),
        (answer(b"x" * (MAX_BODY_BYTES + 1)), "over"),
    ],
)
async def test_any_other_answer_is_a_failure(other: httpx.Response, reason: str) -> None:
    with pytest.raises(FetchFailed, match=reason):
        await fetch(other)


async def test_an_issuer_that_cannot_be_reached_is_a_failure() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(FetchFailed, match="refused"):
        await http_fetch(URL, transport=httpx.MockTransport(refuse))()


async def test_an_answer_that_never_ends_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await anyio.sleep(0.01)

    monkeypatch.setattr(jwks_http, "TIMEOUT_SECONDS", 0.1)
    with pytest.raises(FetchFailed, match="within"):
        await fetch(httpx.Response(200, content=drip()))


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/keys",
        "http://127.0.0.1.example/keys",
        "http://[::2]/keys",
        "file:///etc/passwd",
        "ftp://issuer.example",
        "https://user:password@issuer.example",
        "https://",
        "issuer.example/keys",
        "https://issuer.example/\n",
        "",
    ],
)
def test_an_address_that_anybody_could_answer_for_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"needs a host|must begin with https|not a URL"):
        http_fetch(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/k", "http://[::1]/k", "http://localhost/k", URL])
async def test_this_machine_needs_no_encryption(url: str) -> None:
    echo = httpx.MockTransport(lambda request: answer(str(request.url).encode()))
    assert await http_fetch(url, transport=echo)() == url.encode()
