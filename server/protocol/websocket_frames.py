"""The bytes of what a server sends over a WebSocket (RFC 6455 §5.2): unmasked, unfragmented frames."""

NORMAL_CLOSURE = 1000
NO_STATUS_RECEIVED = 1005
ABNORMAL_CLOSURE = 1006
"""Codes that are not ours to choose, so not in `closing.CloseCode`; the last two never stand on the wire."""

MAX_REASON_BYTES = 123
"""A control frame holds 125 bytes, of which the code takes two (RFC 6455 §5.5)."""

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
"""First bytes: FIN and the opcode."""

_SHORT_BINARY_HEADERS = [bytes((BINARY, size)) for size in range(126)]


class Frame:
    """One binary message as its bytes on the wire, built once for all who get it."""

    __slots__ = ("_behind", "_message_bytes", "wire")

    def __init__(self, message: bytes) -> None:
        self.wire = server_frame(message)
        self._message_bytes = len(message)
        self._behind: tuple[bytes, Frame] | None = None

    @property
    def message(self) -> bytes:
        """What stands behind the header."""
        return self.wire[len(self.wire) - self._message_bytes :]

    def begins_with(self, prefix: bytes) -> bool:
        """Whether the message does; it is not copied for that."""
        return self.wire.startswith(prefix, len(self.wire) - self._message_bytes)

    def behind(self, prefix: bytes) -> "Frame":
        """The same message behind a prefix; built once for all who follow each other with the same one."""
        if self._behind is None or self._behind[0] != prefix:
            self._behind = prefix, Frame(prefix + self.message)
        return self._behind[1]


def server_frame(message: bytes) -> bytes:
    """The binary frame of one message; several may be joined and written at once."""
    if len(message) < 126:
        return _SHORT_BINARY_HEADERS[len(message)] + message
    return frame_of(BINARY, message)


def frame_of(first_byte: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first_byte, size)) + payload
    if size < 1 << 16:
        return bytes((first_byte, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first_byte, 127)) + size.to_bytes(8, "big") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; without a body for NO_STATUS_RECEIVED (§7.1.5)."""
    if code == NO_STATUS_RECEIVED:
        return frame_of(CLOSE, b"")
    return frame_of(CLOSE, code.to_bytes(2, "big") + cut_reason(reason).encode())


def cut_reason(reason: str) -> str:
    """What a close frame can hold of it, cut between characters."""
    return reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")


def is_valid_close_code(code: int) -> bool:
    """Whether a close frame may hold it: RFC 6455 §7.4 and the codes registered since (1012-1014)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
