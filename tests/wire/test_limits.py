"""Limits on a server that listens: who meets one is told which, and nobody else notices."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server.protocol.closing import CloseCode
from server.protocol.yjs_messages import sync_step_1
from server.settings import Settings, SettingsError
from server.web_server import trusted_networks, uvicorn_config
from tests.server_process import ServerProcess, running_server
from tests.transport.serving import HANDSHAKE, RawClient
from tests.wire.conftest import ROOM, RunningServer, run_server

FORWARDED = "X-Forwarded-For"


def http_of(server: RunningServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url.replace("ws://", "http://"), trust_env=False, verify=False)


async def handshake(
    server: RunningServer, headers: Mapping[str, str] | None = None, token: str | None = None
) -> httpx.Headers | None:
    """None: it was answered 101; else the headers of a 429. Raises InvalidStatus for any other answer."""
    url = f"{server.url}/ws/{quote(ROOM)}?token={server.token() if token is None else token}"
    try:
        async with connect(url, additional_headers=headers):
            return None
    except InvalidStatus as refused:
        if refused.response.status_code != 429:
            raise
        return httpx.Headers(list(refused.response.headers.raw_items()))


# Connections


async def test_beyond_the_handshakes_of_a_minute_an_address_waits(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_handshakes_per_minute_per_address=3) as server:
        assert [await handshake(server) for _ in range(3)] == [None] * 3
        refused = await handshake(server)
        assert refused is not None
        assert 1 <= int(refused["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "setting", ["max_connections_per_user", "max_connections_per_address", "max_joins_per_minute_per_user"]
)
async def test_one_connection_too_many_is_sent_away_and_told_why(tmp_path: Path, setting: str) -> None:
    options: dict[str, Any] = {setting: 2}
    async with run_server(tmp_path, **options) as server:
        first, second = [await server.client() for _ in range(2)]
        third = await server.client()
        assert await third.close_code() == CloseCode.TRY_AGAIN_LATER
        assert setting in third.denials()[0]
        assert await first.sync() == await second.sync() == b"\0\0"


@pytest.mark.parametrize("setting", ["max_connections_per_user", "max_connections_per_address"])
async def test_whoever_leaves_makes_room(tmp_path: Path, setting: str) -> None:
    options: dict[str, Any] = {setting: 1}
    async with run_server(tmp_path, **options) as server:
        for _ in range(5):
            client = await server.client()
            assert await client.sync() == b"\0\0"
            await client.connection.close()


async def test_a_connection_that_was_not_let_in_takes_no_place(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_connections_per_user=1) as server:
        for room in ("workspace:1/../x", "not:a/room", "workspace:0/a"):
            assert await (await server.client(room=room)).close_code() == CloseCode.NOT_FOUND
        assert await (await server.client()).sync() == b"\0\0"


# Refused tokens


async def test_after_too_many_refused_tokens_a_good_one_passes_all_the_same(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_failures_per_minute_per_address=3) as server, http_of(server) as http:
        valid, guess = (
            {"Authorization": f"Bearer {token}"} for token in (server.token(), server.token(ttl=-60))
        )
        assert (await http.get("/api/me", headers=guess)).status_code == 401
        for _ in range(2):
            assert await (await server.client(token="guess")).close_code() == CloseCode.UNAUTHORIZED
            assert await (await server.client(token="guess")).close_code() == CloseCode.UNAUTHORIZED
        assert await handshake(server) is None
        assert (await http.get("/api/me", headers=valid)).status_code == 200
        refused = await http.get("/api/me", headers=guess)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert "max_failures_per_minute_per_address" in refused.json()["error"]["reason"]
        assert (await http.get("/api/limits")).status_code == 200


# Requests


async def test_beyond_its_requests_of_a_minute_a_user_waits(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_requests_per_minute_per_user=3) as server, http_of(server) as http:
        alice, bob = ({"Authorization": f"Bearer {server.token(user)}"} for user in ("alice", "bob"))
        for _ in range(3):
            assert (await http.get("/api/me", headers=alice)).status_code == 200
        refused = await http.get("/api/me", headers=alice)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "rate_limited"
        assert "max_requests_per_minute_per_user" in refused.json()["error"]["reason"]
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert (await http.get("/api/me", headers=bob)).status_code == 200


async def test_a_body_in_pieces_is_ended_at_the_limit_and_the_connection_goes_on(tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"1" * 100

    async with run_server(tmp_path, max_json_bytes=1000) as server, http_of(server) as http:
        headers = {"Authorization": f"Bearer {server.token()}", "Content-Type": "application/json"}
        for content in (body(), b"1" * 5000):
            response = await http.post("/api/tickets", content=content, headers=headers)
            assert response.status_code == 413
            assert "max_json_bytes" in response.json()["error"]["reason"]
        assert (await http.get("/api/me", headers=headers)).status_code == 200


# Addresses behind proxies

THREE: dict[str, Any] = {
    "max_handshakes_per_minute_per_address": 3,
    "max_requests_per_minute_per_address": 3,
}


async def test_a_forwarded_address_that_nobody_vouches_for_counts_for_nothing(tmp_path: Path) -> None:
    async with run_server(tmp_path, **THREE) as server, http_of(server) as http:
        answers = [
            (await http.get("/api/limits", headers={FORWARDED: f"192.0.2.{n}"})).status_code for n in range(5)
        ]
        assert answers == [200] * 3 + [429] * 2
        refused = [await handshake(server, {FORWARDED: f"192.0.2.{n}"}) is not None for n in range(5)]
        assert refused == [False] * 3 + [True] * 2


async def test_what_a_trusted_proxy_says_counts_and_what_its_client_said_does_not(tmp_path: Path) -> None:
    proxies = ["127.0.0.0/8", "10.0.0.1"]
    async with run_server(tmp_path, trusted_proxies=proxies, **THREE) as server, http_of(server) as http:
        for n in range(5):  # each its own
            assert (await http.get("/", headers={FORWARDED: f"192.0.2.{n}"})).status_code == 200
            assert await handshake(server, {FORWARDED: f"192.0.2.{n}"}) is None
        told = [{FORWARDED: f"198.51.100.{n}, 203.0.113.9, 10.0.0.1"} for n in range(5)]
        answers = [(await http.get("/", headers=headers)).status_code for headers in told]
        assert answers == [200] * 3 + [429] * 2
        refused = [await handshake(server, headers) is not None for headers in told]
        assert refused == [False] * 3 + [True] * 2


async def test_a_trusted_proxy_says_that_the_page_came_by_https(tmp_path: Path) -> None:
    async with run_server(tmp_path, trusted_proxies=["127.0.0.1"]) as server, http_of(server) as http:
        response = await http.get("/", headers={"X-Forwarded-Proto": "https"})
        assert "Strict-Transport-Security" in response.headers
        assert "Strict-Transport-Security" not in (await http.get("/")).headers


@pytest.mark.parametrize("proxy", ["*", "localhost", "", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1:80"])
def test_a_proxy_that_is_no_address_is_refused_at_the_start(tmp_path: Path, proxy: str) -> None:
    settings = Settings(data_dir=tmp_path, trusted_proxies=[proxy])
    with pytest.raises(SettingsError, match="COSTUDIO_TRUSTED_PROXIES"):
        uvicorn_config(None, settings)  # type: ignore[arg-type]  # it is not looked at


def test_an_ipv4_proxy_is_the_same_one_on_a_socket_for_both_kinds() -> None:
    assert trusted_networks(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]) == [
        "10.0.0.0/8",
        "192.0.2.1/32",
        "2001:db8::/32",
        "::ffff:a00:0/104",
        "::ffff:c000:201/128",
    ]


def test_by_default_no_proxy_is_believed_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    config = uvicorn_config(None, Settings(data_dir=tmp_path))  # type: ignore[arg-type]  # as above
    assert not config.proxy_headers
    assert config.forwarded_allow_ips == []


# Messages


async def test_whoever_sends_too_much_is_read_more_slowly_and_loses_nothing(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_messages_per_second_per_connection=100) as server:
        flooder, other = await server.client("alice"), await server.client("bob")
        began = time.monotonic()
        for _ in range(300):
            await flooder.send(sync_step_1(b"\0"))
        await other.sync()
        other_seconds = time.monotonic() - began
        await flooder.until(lambda: len(flooder.answers()) == 300)
        assert time.monotonic() - began > 0.9
        assert other_seconds < 0.9


# Connections that say nothing


async def test_whoever_opens_sockets_and_says_nothing_has_so_many_and_no_more(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_connections_per_address=2) as server, AsyncExitStack() as opened:
        port = int(server.url.rpartition(":")[2])

        async def silent() -> RawClient:
            client = await RawClient.connect(port)
            opened.callback(client.transport.abort)
            return client

        client = await server.client()  # is no longer one of them
        assert await client.sync() == b"\0\0"
        *kept, extra = [await silent() for _ in range(3)]
        with suppress(ConnectionResetError):
            assert await extra.read_rest() == b""
        assert not any(each.reader.at_eof() for each in kept)


# Handshakes that are not finished

HALF = HANDSHAKE.format(path=f"/ws/{ROOM}").encode()[:-2]
HALF_OPEN = 1000
MAX_GROWTH_BYTES = 24 * 1024 * 1024
"""24 KB for each: the kernel's buffers are not in it, the parser and the transport are."""


def resident_bytes(server: ServerProcess) -> int:
    fields = Path(f"/proc/{server.pid}/status").read_text().split("\n")
    return next(int(field.split()[1]) * 1024 for field in fields if field.startswith("VmRSS:"))


async def test_a_thousand_half_open_handshakes_cost_little_and_end_in_time(tmp_path: Path) -> None:
    settings = {"COSTUDIO_HANDSHAKE_TIMEOUT_SECONDS": "3"}
    async with running_server(tmp_path, settings) as server, AsyncExitStack() as opened:
        before = resident_bytes(server)
        half_open = []
        for _ in range(HALF_OPEN):
            client = await RawClient.connect(server.port)
            opened.callback(client.transport.abort)
            client.write(HALF)
            half_open.append(client)
        token = await server.token("alice")
        began = time.monotonic()
        async with connect(f"{server.websocket_url}/{quote(ROOM)}?token={token}") as connection:
            await connection.send(sync_step_1(b"\0"))
            await connection.recv()
        assert time.monotonic() - began < 2
        assert resident_bytes(server) - before < MAX_GROWTH_BYTES
        answers = await asyncio.gather(*(client.read_rest() for client in half_open))
        assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 408 Request Timeout"}
