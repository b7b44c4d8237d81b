"""WebSocket as a load generator needs it: frames made beforehand, and a server's frames taken apart."""

from server.protocol.websocket_frames import BINARY, CLOSE, PING, PONG, TEXT

_FIN_AND_OPCODE_OF_DATA = (BINARY, TEXT)
_MASKED = 0x80
_NO_MASK = bytes(4)  # a mask key of zeros leaves the payload as it is

__all__ = ["BINARY", "CLOSE", "PING", "PONG", "FrameError", "masked_frame", "split_frames", "upgrade_request"]


class FrameError(ValueError):
    """A server sent a frame that none of those compared here is known to send."""


def masked_frame(payload: bytes, first_byte: int = BINARY) -> bytes:
    """A client's frame, ready for the socket."""
    size = len(payload)
    if size < 126:
        header = bytes((first_byte, _MASKED | size))
    elif size < 1 << 16:
        header = bytes((first_byte, _MASKED | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first_byte, _MASKED | 127)) + size.to_bytes(8, "big")
    return header + _NO_MASK + payload


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames in `data` as (first byte, payload), and the bytes behind the last one.

    Raises FrameError for fragments, extensions and unknown opcodes.
    """
    frames = []
    start, size = 0, len(data)
    while size - start >= 2:
        first_byte, length, payload_at = data[start], data[start + 1], start + 2
        if first_byte not in (*_FIN_AND_OPCODE_OF_DATA, CLOSE, PING, PONG) or length & _MASKED:
            raise FrameError(f"frame begins with {data[start : start + 2].hex()}")
        if length >= 126:
            payload_at += 2 if length == 126 else 8
            if size < payload_at:
                break
            length = int.from_bytes(data[start + 2 : payload_at], "big")
        end = payload_at + length
        if size < end:
            break
        frames.append((first_byte, data[payload_at:end]))
        start = end
    return frames, data[start:]


def upgrade_request(port: int, target: str) -> bytes:
    """The handshake of a client that offers no extensions. The key is not checked against the answer."""
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: Y29zdHVkaW8tYmVuY2htYQ==",
        "Sec-WebSocket-Version: 13",
    )
    return "\r\n".join((*lines, "", "")).encode()
