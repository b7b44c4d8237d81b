"""`AsgiSocket` on a WebSocket implementation that is not ours."""

import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from server.transport.asgi_socket import AsgiSocket
from server.transport.open_socket import open_socket
from server.transport.socket import Socket
from tests.acceptance.socket_suite import SocketSuite
from tests.transport.serving import Recorder, Served, serve


class TestAsgiSocket(SocketSuite):
    @pytest.fixture
    async def served(self) -> AsyncIterator[Served]:
        async with serve(ws="websockets-sansio") as served:
            yield served

    async def test_nobody_is_said_to_have_answered_a_ping_that_was_never_sent(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        socket.ping(b"7")
        await client.send("behind it")
        await recorder.wait_until(lambda seen: bool(seen.messages))
        assert recorder.heard
        assert recorder.pongs == []
        await client.close()

    async def test_a_peer_that_leaves_everything_unread_is_cut_off_at_the_hard_limit(
        self, served: Served
    ) -> None:
        socket, recorder, client = await served.open(max_queue=1)
        assert isinstance(socket, AsgiSocket)
        client.transport.pause_reading()
        while not recorder.closed and socket.buffered_bytes <= 64 * 1024 * 1024:
            socket.send(bytes(1024 * 1024))
        await recorder.wait_until(lambda seen: seen.closed == [1006])


def test_it_serves_starlettes_test_client() -> None:
    with warnings.catch_warnings(action="ignore"):  # it would like httpx's successor better
        from starlette.testclient import TestClient
    recorder = Recorder()

    async def endpoint(websocket: WebSocket) -> None:
        socket: Socket = await open_socket(websocket, recorder, max_message_bytes=100)
        recorder.react = lambda message: socket.send(
            bytes(message, "utf-8") if isinstance(message, str) else message
        )
        socket.resume_reading()
        await socket.detach()

    app: Any = Starlette(routes=[WebSocketRoute("/", endpoint)])
    with TestClient(app).websocket_connect("/") as client:
        client.send_bytes(b"ping")
        assert client.receive_bytes() == b"ping"
        client.send_text("text")
        assert client.receive_bytes() == b"text"
        client.send_bytes(bytes(101))
        with pytest.raises(WebSocketDisconnect) as closed:
            client.receive_bytes()
    assert closed.value.code == 1009
    assert len(recorder.closed) == 1
