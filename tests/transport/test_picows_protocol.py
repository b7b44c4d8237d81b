"""Our WebSocket protocol class under uvicorn: the handshake, routes that know nothing of us, ends of all kinds."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.transport.open_socket import open_socket
from server.transport.picows_reader import FrameReader
from server.transport.picows_socket import PicowsSocket
from server.transport.socket import HIGH_WATER_BYTES
from tests.acceptance.socket_suite import SocketSuite
from tests.transport.serving import (
    HANDSHAKE,
    KEY,
    MAX_MESSAGE_BYTES,
    SECONDS,
    Recorder,
    Served,
    client_frame,
    serve,
)


class Rooms:
    """Routes in plain ASGI, and what they went through."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.ended: list[int] = []
        self.entered = asyncio.Event()
        self.leave = asyncio.Event()
        self.left = asyncio.Event()
        self.routes = [
            WebSocketRoute(f"/{name}/{{rest:path}}", getattr(self, name))
            for name in ("echo", "refuse", "deny", "fail", "fail_open", "wait", "return_early")
        ]

    async def echo(self, websocket: WebSocket) -> None:
        self.scopes.append(websocket.scope)
        offered = websocket.scope["subprotocols"]
        await websocket.accept(offered[0] if offered else None, headers=[(b"x-room", b"echo")])
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect as end:
            self.ended.append(end.code)
            self.left.set()

    async def refuse(self, websocket: WebSocket) -> None:
        await websocket.close(4401)

    async def deny(self, websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("full", 503, {"Retry-After": "5"}))

    async def fail(self, websocket: WebSocket) -> None:
        raise LookupError("before accepting")

    async def fail_open(self, websocket: WebSocket) -> None:
        await websocket.accept()
        raise LookupError("after accepting")

    async def return_early(self, websocket: WebSocket) -> None:
        await websocket.accept()

    async def wait(self, websocket: WebSocket) -> None:
        """A slow handshake."""
        self.entered.set()
        assert (await websocket.receive())["type"] == "websocket.connect"
        if websocket.url.path.endswith("disconnect"):
            self.ended.append((await websocket.receive())["code"])
        else:
            await self.leave.wait()
            recorder = Recorder()
            await open_socket(websocket, recorder, max_message_bytes=100)
            await recorder.wait_until(lambda seen: bool(seen.closed))
            self.ended.extend(recorder.closed)
        self.left.set()


@pytest.fixture
async def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
async def served(rooms: Rooms) -> AsyncIterator[Served]:
    async with serve(routes=rooms.routes, close_timeout_seconds=1.0) as served:
        yield served


async def wait_for(event: asyncio.Event) -> None:
    async with asyncio.timeout(SECONDS):
        await event.wait()


class TestPicowsSocket(SocketSuite):
    """The shared cases, and what ASGI cannot do."""

    async def test_what_a_ping_carries_comes_back_from_behind_what_was_sent(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        for payload in (b"", b"7"):
            socket.send(b"before")
            socket.ping(payload)
            assert await client.recv() == b"before"
        await recorder.wait_until(lambda seen: seen.pongs == [b"", b"7"])
        await client.close()

    async def test_a_pong_that_nobody_asked_for_brings_its_own_payload(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        await client.pong(b"mine")
        await recorder.wait_until(lambda seen: seen.pongs == [b"mine"])
        await client.close()


# The handshake


async def test_the_accept_key_is_the_one_of_the_rfc(served: Served) -> None:
    client = await served.raw_client()
    client.write(HANDSHAKE.format(path="/").encode())
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("Version: 13", "Version: 8", 426),
        ("Version: 13", "Version: 13, 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        (KEY, "c2hvcnQ=", 400),
        (KEY, "not base64!", 400),
        (KEY, KEY + "\r\nSec-WebSocket-Key: " + KEY, 400),
        ("Sec-WebSocket-Key: " + KEY + "\r\n", "", 400),
        ("GET", "POST", 405),
        ("{path}", "/a?b=%zz", 404),
    ],
)
async def test_a_wrong_handshake_is_refused(served: Served, old: str, new: str, status: int) -> None:
    client = await served.raw_client()
    client.write(HANDSHAKE.replace(old, new).replace("{path}", "/").encode())
    answer = await client.read_rest()
    assert answer.startswith(b"HTTP/1.1 %d " % status) or (status == 404 and b" 403 " in answer)
    assert (b"Sec-WebSocket-Version: 13" in answer) == (status == 426)
    await served.wait_gone()


async def test_a_plain_route_sees_the_scope_that_asgi_promises(rooms: Rooms) -> None:
    async with serve(routes=rooms.routes, root_path="/base") as served:
        url = f"ws://127.0.0.1:{served.port}/echo/a%2Fb%20c?token=x%20y"
        async with connect(url, proxy=None, subprotocols=["one", "two"]) as client:  # type: ignore[list-item]
            await client.send("naïve")
            assert await client.recv() == "naïve"
            assert client.subprotocol == "one"
            assert client.response is not None
            assert client.response.headers["x-room"] == "echo"
    (scope,) = rooms.scopes
    assert scope["type"] == "websocket"
    assert (scope["root_path"], scope["query_string"]) == ("/base", b"token=x%20y")
    assert (scope["path"], scope["raw_path"]) == ("/base/echo/a/b c", b"/base/echo/a%2Fb%20c")
    assert scope["subprotocols"] == ["one", "two"]
    assert scope["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "status"), [("refuse", 403), ("deny", 503), ("fail", 500), ("nowhere", 403)]
)
async def test_what_an_application_refuses_is_answered_in_http(
    served: Served, path: str, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://127.0.0.1:{served.port}/{path}/", proxy=None)
    assert refused.value.response.status_code == status
    if path == "deny":
        assert refused.value.response.body == b"full"
        assert refused.value.response.headers["Retry-After"] == "5"
    await served.wait_gone()


@pytest.mark.parametrize(("path", "code"), [("fail_open", 1011), ("return_early", 1000)])
async def test_an_application_that_ends_ends_its_connection(served: Served, path: str, code: int) -> None:
    async with connect(f"ws://127.0.0.1:{served.port}/{path}/", proxy=None) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == code


async def test_a_client_that_leaves_during_the_handshake_is_told_to_the_application(
    served: Served, rooms: Rooms
) -> None:
    client = await served.raw_client()
    client.write(HANDSHAKE.format(path="/wait/disconnect").encode())
    await wait_for(rooms.entered)
    client.reset()
    await wait_for(rooms.left)
    assert rooms.ended == [1006]


async def test_accepting_a_client_that_has_left_gives_a_closed_socket(served: Served, rooms: Rooms) -> None:
    client = await served.raw_client()
    client.write(HANDSHAKE.format(path="/wait/").encode())
    await wait_for(rooms.entered)
    client.reset()
    await served.wait_gone()
    rooms.leave.set()
    await wait_for(rooms.left)
    assert rooms.ended == [1006]


async def test_messages_sent_before_the_answer_are_delivered_after_it(served: Served) -> None:
    sent = [bytes([number]) * 3000 for number in range(20)]
    frames = b"".join(client_frame(0x82, message) for message in sent)
    socket, recorder, _ = await served.open_raw(more=frames)
    assert recorder.messages == []
    socket.resume_reading()
    await recorder.wait_until(lambda seen: seen.messages == sent)


async def test_no_token_in_a_query_is_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for path in ("/?token=secret", "/refuse/?token=secret", "/fail/?token=secret"):
            client = await served.raw_client()
            client.write(HANDSHAKE.format(path=path).encode() + b"\xff\xff")
            if path.startswith("/?"):
                socket, _ = await served.next_opened()
                socket.resume_reading()
            await client.read_rest()
    assert "secret" not in caplog.text


# Ends


async def test_a_thousand_resets_leave_nothing_behind(served: Served) -> None:
    gc.collect()
    before = count_of(PicowsSocket), count_of(FrameReader)
    recorders = []
    for _ in range(1000):
        socket, recorder, client = await served.open_raw()
        socket.resume_reading()
        recorders.append(recorder)
        client.reset()
    for recorder in recorders:
        await recorder.wait_until(lambda seen: bool(seen.closed))
    await served.wait_gone()
    assert [recorder.closed for recorder in recorders] == [[1006]] * 1000
    assert served.uvicorn.server_state.tasks == set()
    del socket
    gc.collect()
    assert (count_of(PicowsSocket), count_of(FrameReader)) == before


def count_of(kind: type) -> int:
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


async def test_a_peer_that_does_not_answer_a_close_is_cut_off(served: Served) -> None:
    socket, recorder, client = await served.open_raw()
    socket.resume_reading()
    socket.close(4000, "go")
    assert await client.read_frame() == (0x88, b"\x0f\xa0go")
    assert await client.read_rest() == b""
    await recorder.wait_until(lambda seen: seen.closed == [1006])
    await served.wait_gone()


async def test_a_peer_that_reads_nothing_is_cut_off_after_a_close(served: Served) -> None:
    socket, recorder, client = await served.open_raw()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(100):
        socket.send(bytes(MAX_MESSAGE_BYTES))
    assert socket.buffered_bytes > HIGH_WATER_BYTES
    socket.close(1013)
    await recorder.wait_until(lambda seen: seen.closed == [1006])
    await served.wait_gone()


async def test_a_peer_that_goes_on_sending_after_an_error_is_not_listened_to(served: Served) -> None:
    socket, recorder, client = await served.open_raw()
    socket.resume_reading()
    client.write(client_frame(0x82, bytes(MAX_MESSAGE_BYTES + 1))[:14])
    assert (await client.read_frame())[1][:2] == (1009).to_bytes(2, "big")
    await recorder.wait_until(lambda seen: seen.closed == [1006])
    for _ in range(100):  # picows alone would gather this for the frame announced
        client.write(bytes(10_000))
    assert await client.read_rest() == b""
    assert recorder.messages == []


async def test_pings_of_a_peer_that_reads_nothing_do_not_fill_the_buffer(served: Served) -> None:
    socket, recorder, client = await served.open_raw()
    socket.resume_reading()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    ping = client_frame(0x89, bytes(125)) * 1000
    for round_ in range(100):
        client.write(ping)
        await client.transport_flushed()
        await recorder.wait_until(lambda seen: seen.heard > round_)  # noqa: B023
    assert socket.buffered_bytes <= HIGH_WATER_BYTES + 127


async def test_a_large_message_does_not_keep_its_buffer(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, recorder, client = await served.open_raw()
    socket.resume_reading()
    assert isinstance(socket, PicowsSocket)
    protocol = socket._transport.get_protocol()
    for size in (10, 1000, 20_000):
        client.write(client_frame(0x82, bytes(size)))
        await recorder.wait_until(lambda seen: len(seen.messages[-1:] and seen.messages[-1]) == size)  # noqa: B023
    assert socket._transport.get_protocol() is protocol
    client.write(client_frame(0x82, bytes(MAX_MESSAGE_BYTES)) + client_frame(0x82, b"rest")[:3])
    await recorder.wait_until(lambda seen: len(seen.messages) == 4)
    client.write(client_frame(0x82, b"rest")[3:])
    await recorder.wait_until(lambda seen: seen.messages[4:] == [b"rest"])
    renewed: Any = socket._transport.get_protocol()
    assert renewed is not protocol
    assert len(renewed.get_buffer(-1)) < 4096
    client.write(client_frame(0x82, b"more"))
    await recorder.wait_until(lambda seen: seen.messages[5:] == [b"more"])


async def test_one_that_is_closed_inside_a_listener_delivers_nothing_more(served: Served) -> None:
    socket, recorder, client = await served.open_raw()
    recorder.react = lambda _: socket.close(4000)
    socket.resume_reading()
    client.write(client_frame(0x82, b"x") * 3 + client_frame(0x88, b"\x0f\xa0"))
    assert await client.read_frame() == (0x88, b"\x0f\xa0")
    await recorder.wait_until(lambda seen: seen.closed == [4000])
    assert recorder.messages == [b"x"]


async def test_a_stopping_server_closes_with_1012_and_waits(rooms: Rooms) -> None:
    async with serve(routes=rooms.routes) as served:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        plain = await connect(f"ws://127.0.0.1:{served.port}/echo/", proxy=None)
        waiting = await served.raw_client()
        waiting.write(HANDSHAKE.format(path="/wait/disconnect").encode())
        await wait_for(rooms.entered)
        async with asyncio.timeout(SECONDS):
            await served.uvicorn.shutdown()
        for open_client in (client, plain):
            with pytest.raises(ConnectionClosed):
                await open_client.recv()
            assert open_client.close_code == 1012
        assert recorder.closed == [1012]
        assert rooms.ended in ([1006, 1012], [1012, 1006])
        assert (await waiting.read_rest()).startswith(b"HTTP/1.1 503 ")


async def test_it_serves_unix_sockets(tmp_path: Any) -> None:
    path = str(tmp_path / "socket")
    async with serve(uds=path) as served:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(HANDSHAKE.format(path="/").encode() + client_frame(0x82, b"x"))
        socket, recorder = await served.next_opened()
        recorder.react = lambda _: socket.send(b"y")
        socket.resume_reading()
        async with asyncio.timeout(SECONDS):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(3) == b"\x82\x01y"
        writer.close()
        await recorder.wait_until(lambda seen: seen.closed == [1006])
