"""Requests that are not finished in time, or too long, are not kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from server.limits.peers import Peers
from server.transport.http_protocol import http_protocol
from tests.transport.serving import HANDSHAKE, RawClient, Served, serve

LINE = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    protocol = http_protocol(handshake_timeout_seconds=0.15, max_header_bytes=2000)
    async with serve(http=protocol) as served:
        yield served


async def client_of(served: Served, sent: bytes) -> RawClient:
    client = await served.raw_client()
    client.write(sent)
    return client


@pytest.mark.parametrize(
    "sent",
    [b"G", LINE, LINE + b"X-Slow: x", HANDSHAKE.format(path="/").encode()[:-2]],
    ids=["a byte", "a line", "a value", "a handshake"],
)
async def test_a_half_sent_request_is_answered_408_in_time(served: Served, sent: bytes) -> None:
    client = await client_of(served, sent)
    assert (await client.read_rest()).startswith(b"HTTP/1.1 408 ")
    client.transport.close()
    await served.wait_gone()


async def test_bytes_that_trickle_in_do_not_extend_the_deadline(served: Served) -> None:
    client = await client_of(served, LINE)
    answer = asyncio.ensure_future(client.read_rest())
    while not answer.done():
        client.write(b"X")
        await asyncio.wait([answer], timeout=0.01)
    assert b" 408 " in await answer
    client.transport.close()
    await served.wait_gone()


async def test_a_connection_that_says_nothing_is_closed_without_a_word(served: Served) -> None:
    client = await client_of(served, b"")
    assert await client.read_rest() == b""


async def test_a_second_request_has_its_own_deadline(served: Served) -> None:
    client = await client_of(served, LINE + b"\r\n")
    assert b" 404 " in await client.read_head()
    await client.reader.readexactly(len("Not Found"))
    client.write(LINE)
    assert (await client.read_rest()).startswith(b"HTTP/1.1 408 ")


async def test_an_open_websocket_outlives_the_deadline(served: Served) -> None:
    socket, recorder, client = await served.open_raw()
    slow = await client_of(served, LINE)
    await slow.read_rest()
    socket.send(b"still here")
    assert (await client.read_frame())[1] == b"still here"
    assert recorder.closed == []


@pytest.mark.parametrize(
    "sent",
    [
        LINE + b"X: " + b"x" * 2000,
        LINE + b"X: " + b"x" * 2000 + b"\r\n\r\n",
        LINE + b"X: y\r\n" * 400 + b"\r\n",
        b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 5000,
        LINE + b"X" * 3000,
    ],
    ids=[
        "an endless value",
        "a long value",
        "many headers",
        "a long target",
        "an endless target",
        "an endless name",
    ],
)
async def test_long_headers_are_answered_431(served: Served, sent: bytes) -> None:
    client = await client_of(served, sent)
    assert (await client.read_rest()).startswith(b"HTTP/1.1 431 ")
    client.transport.close()
    await served.wait_gone()


async def test_a_long_header_is_noticed_however_it_is_cut(served: Served) -> None:
    client = await client_of(served, LINE + b"X: ")
    for _ in range(30):
        client.write(b"x" * 100)
        await client.transport_flushed()
    assert (await client.read_rest()).startswith(b"HTTP/1.1 431 ")


async def test_a_body_is_not_limited(served: Served) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    client = await client_of(served, head + bytes(1_000_000))
    assert b" 404 " in await client.read_head()


async def test_a_chunked_body_with_endless_trailers_is_ended(served: Served) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    client = await client_of(served, head + b"X: y\r\n" * 1000)
    await client.read_rest()
    await served.wait_gone()


async def test_one_connection_too_many_of_an_address_is_closed_at_once() -> None:
    peers = Peers(2)
    async with serve(http=http_protocol(peers=peers)) as served:
        first, _ = [await client_of(served, LINE) for _ in range(2)]
        third = await served.raw_client()
        with suppress(ConnectionResetError):
            assert await third.read_rest() == b""
        first.write(b"\r\n")
        assert b" 404 " in await first.read_head()
        assert len(peers) == 2


async def test_what_ends_in_any_way_or_becomes_a_websocket_is_counted_no_more() -> None:
    peers = Peers(1)
    protocol = http_protocol(handshake_timeout_seconds=0.1, max_header_bytes=2000, peers=peers)
    async with serve(http=protocol) as served:
        for sent in (LINE, b"", LINE + b"X: " + b"x" * 3000, b"nonsense\r\n\r\n"):
            client = await client_of(served, sent)
            await client.read_rest()
            client.transport.close()
            await served.wait_gone()
            assert len(peers) == 0
        for _ in range(3):
            await served.open_raw()
            assert len(peers) == 0
