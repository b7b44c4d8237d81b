"""A page of another origin gets no WebSocket: the answer is 403, before anything is accepted."""

from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.transport.serving import HANDSHAKE, RawClient
from tests.wire.conftest import ROOM, RunningServer, run_server

APP = "https://app.example"


async def status_of(server: RunningServer, *headers: tuple[str, str], origin: str | None = None) -> int:
    """What a handshake is answered; with a valid token, so nothing else stands in its way."""
    url = f"{server.url}/ws/{quote(ROOM)}?token={server.token()}"
    try:
        async with connect(url, origin=origin, additional_headers=headers) as connection:  # type: ignore[arg-type]
            assert connection.response
            return connection.response.status_code
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_the_servers_own_pages_and_programs_may_connect(server: RunningServer) -> None:
    assert await status_of(server) == 101
    assert await status_of(server, origin=server.url.replace("ws://", "http://")) == 101


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://127.0.0.1.evil.example",
        "{own}.evil.example",
        "https{own_host}",
    ],
)
async def test_other_pages_may_not(server: RunningServer, origin: str) -> None:
    own = server.url.replace("ws://", "http://")
    origin = origin.format(own=own, own_host=own.removeprefix("http"))
    assert await status_of(server, origin=origin) == 403


async def test_a_page_that_the_setting_allows_may(tmp_path: Path) -> None:
    async with run_server(tmp_path, allowed_origins=[APP]) as server:
        assert await status_of(server, origin=APP) == 101
        assert await status_of(server, origin="http://app.example") == 403


async def test_whoever_says_it_twice_may_not(tmp_path: Path) -> None:
    async with run_server(tmp_path, allowed_origins=[APP]) as server:
        assert await status_of(server, ("Origin", "https://evil.example"), origin=APP) == 403


async def test_in_development_pages_of_this_machine_may_but_not_by_another_name(tmp_path: Path) -> None:
    async with run_server(tmp_path, dev=True) as server:
        assert await status_of(server, origin="http://localhost:5173") == 101
        handshake = HANDSHAKE.format(path=f"/ws/{ROOM}").replace("localhost", "rebound.example")
        handshake = handshake.replace("\r\n\r\n", "\r\nOrigin: http://rebound.example\r\n\r\n")
        client = await RawClient.connect(int(server.url.rpartition(":")[2]))
        client.write(handshake.encode())
        assert (await client.read_head()).startswith(b"HTTP/1.1 403 ")
        client.transport.close()


async def test_the_answer_names_the_setting_and_not_the_token(server: RunningServer) -> None:
    url = f"{server.url}/ws/{quote(ROOM)}?token={server.token()}"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, origin="https://evil.example").__aenter__()  # type: ignore[arg-type]
    body = (refused.value.response.body or b"").decode()
    assert "https://evil.example" in body
    assert "allowed_origins" in body
    assert server.token()[:20] not in body
