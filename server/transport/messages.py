"""Frames into messages: what RFC 6455 asks of a client's frames, once they are parsed and unmasked.

PURE: no socket, no clock. picows checks each frame's own header (opcode, mask, length); order and content are
here.
"""

from typing import Final

from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import NO_STATUS_RECEIVED, is_valid_close_code

CONTINUATION, TEXT, BINARY = 0, 1, 2
"""Opcodes (§5.2)."""

MAX_FRAGMENTS: Final = 1 << 17
"""A bound against messages that never end; twice what Autobahn sends (4 MiB in pieces of 64 bytes)."""


class ProtocolError(Exception):
    """The peer broke RFC 6455: the connection fails with this code and reason (§7.1.7)."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class PartialMessage:
    """The fragments of one message so far; they are joined as they come, so empty ones cost no memory."""

    __slots__ = ("_count", "_data", "_is_text")

    def __init__(self, opcode: int, payload: bytes) -> None:
        self._is_text = opcode == TEXT
        self._data = bytearray(payload)
        self._count = 1

    def add(self, payload: bytes, max_message_bytes: int) -> None:
        """Raises ProtocolError (MESSAGE_TOO_BIG) before it holds more than `max_message_bytes`."""
        self._count += 1
        if len(self._data) + len(payload) > max_message_bytes or self._count > MAX_FRAGMENTS:
            raise ProtocolError(CloseCode.MESSAGE_TOO_BIG, "message too big")
        self._data += payload

    def whole(self) -> bytes | str:
        """Raises ProtocolError (INVALID_TEXT)."""
        return decode_text(self._data) if self._is_text else bytes(self._data)


def decode_text(payload: bytes | bytearray) -> str:
    """Raises ProtocolError (INVALID_TEXT); surrogates are refused as §8.1 demands."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise ProtocolError(CloseCode.INVALID_TEXT, "text is not UTF-8") from None


def decode_close(payload: bytes) -> int:
    """The code of a close frame's body, NO_STATUS_RECEIVED for none (§5.5.1, §7.4). Raises ProtocolError."""
    if not payload:
        return NO_STATUS_RECEIVED
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not is_valid_close_code(code):
        raise ProtocolError(CloseCode.PROTOCOL_ERROR, "invalid close code")
    decode_text(payload[2:])
    return code
