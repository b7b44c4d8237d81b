"""What every implementation of `socket.Socket` does: subclass it with a fixture `served`."""

import asyncio
import logging
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode as WireCode

from server.protocol.websocket_frames import Frame
from server.transport.socket import HIGH_WATER_BYTES
from tests.transport.serving import MAX_MESSAGE_BYTES, SECONDS, Served

SIZES = [0, 1, 125, 126, 65535, 65536, MAX_MESSAGE_BYTES]


class SocketSuite:
    @pytest.mark.parametrize("size", SIZES)
    async def test_a_binary_message_of_any_size_arrives_whole_in_both_directions(
        self, served: Served, size: int
    ) -> None:
        socket, recorder, client = await served.open()
        recorder.react = lambda message: socket.send(message) if isinstance(message, bytes) else None
        socket.resume_reading()
        message = bytes(index % 251 for index in range(size))
        await client.send(message)
        assert await client.recv() == message
        assert recorder.messages == [message]
        await client.close()

    async def test_a_text_message_arrives_as_text_in_both_directions(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        recorder.react = lambda message: socket.send_text(message) if isinstance(message, str) else None
        socket.resume_reading()
        await client.send("naïve 😀")
        assert await client.recv() == "naïve 😀"
        await client.close()

    async def test_a_frame_for_many_is_a_binary_message_to_each(self, served: Served) -> None:
        members = [await served.open() for _ in range(3)]
        frames = [Frame(bytes(size)) for size in (3, 300, 70000)]
        for frame in frames:
            for socket, _, _ in members:
                socket.send_frame(frame)
        for _, _, client in members:
            assert [await client.recv() for _ in frames] == [frame.message for frame in frames]
            client.transport.abort()

    async def test_nothing_is_delivered_before_reading_is_resumed(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        await client.send(b"first")
        socket.send(b"there and back")
        await client.recv()
        assert recorder.messages == []
        socket.resume_reading()
        await recorder.wait_until(lambda seen: seen.messages == [b"first"])
        await client.close()

    async def test_pausing_between_two_messages_holds_the_second_back(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        recorder.react = lambda _: socket.pause_reading()
        socket.resume_reading()
        for number in range(4):
            await client.send(b"%d" % number)
        for count in range(1, 5):
            await recorder.wait_until(lambda seen: len(seen.messages) == count)  # noqa: B023  # awaited here
            socket.send(b"there and back")
            await client.recv()
            assert recorder.messages == [b"%d" % number for number in range(count)]
            socket.resume_reading()
        await client.close()

    async def test_a_message_over_the_limit_costs_1009_and_is_not_delivered(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        with suppress(ConnectionClosed):
            await client.send(bytes(MAX_MESSAGE_BYTES + 1))
        await client.wait_closed()
        assert client.close_code == WireCode.MESSAGE_TOO_BIG
        await recorder.wait_until(lambda seen: len(seen.closed) == 1)
        assert recorder.messages == []

    @pytest.mark.parametrize("is_reading", [True, False])
    async def test_close_sends_what_is_buffered_then_the_code_and_reason(
        self, served: Served, is_reading: bool
    ) -> None:
        socket, recorder, client = await served.open()
        if is_reading:
            socket.resume_reading()
        for _ in range(10):
            socket.send(bytes(100_000))
        socket.close(4401, "the token has expired")
        for _ in range(10):
            assert await client.recv() == bytes(100_000)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4401, "the token has expired")
        await recorder.wait_until(lambda seen: seen.closed == [4401])
        await served.wait_gone()
        assert recorder.closed == [4401]

    async def test_a_reason_is_cut_between_characters_to_what_a_close_frame_holds(
        self, served: Served
    ) -> None:
        socket, _, client = await served.open()
        socket.close(4400, "é" * 100)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_reason == "é" * 61

    @pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
    async def test_a_peers_close_code_is_told_once(self, served: Served, code: int) -> None:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        await client.close(code, "bye")
        await recorder.wait_until(lambda seen: bool(seen.closed))
        await served.wait_gone()
        assert recorder.closed == [code]

    async def test_what_came_before_a_close_is_delivered_before_it(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        seen_when_closed: list[int] = []
        recorder.react = lambda _: seen_when_closed.append(len(recorder.closed))
        for _ in range(3):
            await client.send(b"x")
        closing = asyncio.ensure_future(client.close())
        socket.resume_reading()
        await closing
        await recorder.wait_until(lambda seen: bool(seen.closed))
        assert seen_when_closed == [0, 0, 0]

    async def test_a_peer_that_vanishes_is_told_once(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        client.transport.abort()
        await recorder.wait_until(lambda seen: bool(seen.closed))
        await served.wait_gone()
        assert len(recorder.closed) == 1
        assert recorder.closed[0] in {1005, 1006}  # ASGI does not tell them apart

    async def test_abort_ends_at_once_without_a_close_frame(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        socket.abort()
        socket.abort()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == WireCode.ABNORMAL_CLOSURE
        await recorder.wait_until(lambda seen: seen.closed == [1006])

    async def test_no_method_raises_or_sends_once_it_is_closed(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        socket.close(1000)
        for _ in range(2):
            socket.send(b"x")
            socket.send_frame(Frame(b"x"))
            socket.send_text("x")
            socket.ping()
            socket.pause_reading()
            socket.resume_reading()
            socket.close(1011)
            assert socket.buffered_bytes >= 0
            with pytest.raises(ConnectionClosed):
                await client.recv()
            await recorder.wait_until(lambda seen: bool(seen.closed))
            await served.wait_gone()
        socket.abort()
        assert client.close_code == 1000

    async def test_a_ping_shows_that_the_peer_is_alive(self, served: Served) -> None:
        socket, recorder, client = await served.open()
        socket.resume_reading()
        socket.ping()
        await recorder.wait_until(lambda seen: seen.heard == 1)
        await client.close()

    async def test_an_exception_in_a_listener_costs_its_own_connection_1011(
        self, served: Served, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Panic(BaseException):
            """As pyo3's is: no Exception."""

        def fail(_: bytes | str) -> None:
            raise Panic("in the listener")

        socket, recorder, client = await served.open()
        other_socket, other, other_client = await served.open()
        recorder.react = fail
        socket.resume_reading()
        other_socket.resume_reading()
        with caplog.at_level(logging.ERROR):
            await client.send(b"x")
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert client.close_code == WireCode.INTERNAL_ERROR
        assert "in the listener" in caplog.text
        await recorder.wait_until(lambda seen: len(seen.closed) == 1)
        await other_client.send(b"y")
        await other.wait_until(lambda seen: seen.messages == [b"y"])
        await other_client.close()

    async def test_a_stalled_reader_shows_in_its_own_buffer_alone_and_drains(self, served: Served) -> None:
        stalled, recorder, slow = await served.open(max_queue=1)
        other_socket, other, fast = await served.open()
        stalled.resume_reading()
        other_socket.resume_reading()
        slow.transport.pause_reading()
        sent = 0
        async with asyncio.timeout(SECONDS):
            while stalled.buffered_bytes < 4 * 1024 * 1024:
                stalled.send(bytes(100_000))
                other_socket.send(b"tick")
                assert await fast.recv() == b"tick"
                sent += 1
        assert other_socket.buffered_bytes < HIGH_WATER_BYTES
        drained_before = recorder.drained
        slow.transport.resume_reading()
        async with asyncio.timeout(SECONDS):
            for _ in range(sent):
                await slow.recv()
        await recorder.wait_until(lambda seen: seen.drained == drained_before + 1)
        assert other.drained == 0
        await slow.close()
        await fast.close()
