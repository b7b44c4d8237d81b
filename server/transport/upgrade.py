"""The opening handshake (RFC 6455 §4.2): a request's bytes in, an ASGI scope or a refusal out. PURE."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import httptools

Headers = list[tuple[bytes, bytes]]
"""Lower-case names, in the order received."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class UpgradeError(Exception):
    """A request that is no WebSocket handshake; `response` is the whole answer."""

    def __init__(self, status: int, reason: str, headers: Headers | None = None) -> None:
        super().__init__(status, reason)
        self.response = http_response(status, headers or [], reason.encode())


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """A valid handshake. `path` is percent-decoded, `raw_path` as sent; neither holds the query."""

    path: str
    raw_path: bytes
    query_string: bytes
    headers: Headers
    subprotocols: list[str]
    key: bytes

    def scope(self, root_path: str) -> dict[str, Any]:
        """The part of an ASGI websocket scope that stands in the request."""
        return {
            "type": "websocket",
            "http_version": "1.1",
            "root_path": root_path,
            "path": root_path + self.path,
            "raw_path": root_path.encode() + self.raw_path,
            "query_string": self.query_string,
            "headers": self.headers,
            "subprotocols": self.subprotocols,
        }

    def response(self, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The answer that accepts."""
        accept = base64.b64encode(hashlib.sha1(self.key + _GUID).digest())
        answer = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Sec-WebSocket-Accept", accept)]
        if subprotocol is not None:
            answer.append((b"Sec-WebSocket-Protocol", subprotocol.encode()))
        return _head(HTTPStatus.SWITCHING_PROTOCOLS, [*answer, *headers])


def parse_upgrade(request: bytes) -> UpgradeRequest:
    """Raises UpgradeError, and nothing else; uvicorn's HTTP parser has read these bytes and written them anew."""
    head, *lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    method, _, target = head.rpartition(b" ")[0].partition(b" ")
    headers = [
        (name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)
    ]
    if method != b"GET":
        raise UpgradeError(405, "a WebSocket handshake is a GET request", [(b"Allow", b"GET")])
    if b"websocket" not in _tokens(headers, b"upgrade") or b"upgrade" not in _tokens(headers, b"connection"):
        raise UpgradeError(400, "not a WebSocket handshake")
    if _values(headers, b"sec-websocket-version") != [b"13"]:
        raise UpgradeError(426, "WebSocket version 13 is spoken", [(b"Sec-WebSocket-Version", b"13")])
    keys = _values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise UpgradeError(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    try:
        url = httptools.parse_url(target)
        path = unquote((url.path or b"/").decode("ascii"))
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise UpgradeError(400, "invalid request target") from None
    offered = b",".join(_values(headers, b"sec-websocket-protocol")).decode("latin-1")
    subprotocols = [name.strip() for name in offered.split(",") if name.strip()]
    return UpgradeRequest(path, url.path or b"/", url.query or b"", headers, subprotocols, keys[0])


def http_response(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A whole response, after which the connection is closed; framing headers given are replaced."""
    kept = [(name, value) for name, value in headers if name.lower() not in _FRAMING]
    if not any(name.lower() == b"content-type" for name, _ in kept):
        kept.append((b"Content-Type", b"text/plain; charset=utf-8"))
    framing = [(b"Content-Length", b"%d" % len(body)), (b"Connection", b"close")]
    return _head(status, [*kept, *framing]) + body


_FRAMING: Final = {b"content-length", b"connection", b"transfer-encoding"}


def _head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Raises ValueError for a header that would end its line."""
    try:
        phrase = HTTPStatus(status).phrase.encode()
    except ValueError:
        phrase = b""
    lines = [b"HTTP/1.1 %d %s" % (status, phrase), *(b"%s: %s" % header for header in headers)]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError("a line break in a response header")
    return b"\r\n".join([*lines, b"", b""])


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _tokens(headers: Headers, name: bytes) -> set[bytes]:
    return {token.strip().lower() for value in _values(headers, name) for token in value.split(b",")}


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
