"""The Hocuspocus protocol (docs/hocuspocus.md): a client's frames to messages, and what only a server says.

A frame is an address and one message. The address is a document's name, or that, a NUL and the id of a session where
a client holds a document more than once. Behind it, sync and awareness are as in y-websocket (`yjs_messages`).
"""

from typing import NamedTuple

from server.protocol.varint import MalformedBytes, buf, read_buf, read_var_uint, var_uint
from server.protocol.yjs_messages import Awareness, QueryAwareness, SyncStep1, Update

_SYNC, _AWARENESS, _AUTH, _QUERY_AWARENESS, _STATELESS, _CLOSE, _SYNC_STATUS = 0, 1, 2, 3, 5, 7, 8
_STEP_1, _STEP_2, _UPDATE = 0, 1, 2
_TOKEN, _PERMISSION_DENIED, _AUTHENTICATED = 0, 1, 2

PING, PONG = b"\x09", b"\x0a"
"""Whole frames: they are about no document."""

SYNC_STEP_1 = b"\x00\x00"
"""How a SyncStep1 begins, behind the address."""

MAX_ADDRESS_BYTES = 4096
"""The longest name of a file takes about half of it."""

_MAX_VERSION_BYTES = 64


class MalformedFrame(MalformedBytes):
    """A frame that is not the Hocuspocus protocol; `offset` counts from its first byte."""


class Auth(NamedTuple):
    """A token; `version` of the provider where it says so, as from 4 on."""

    token: str
    version: str | None


class Stateless(NamedTuple):
    """An application's own text, in UTF-8."""

    payload: bytes


class CloseDocument(NamedTuple):
    """The client leaves the document; the socket stays."""


ClientMessage = SyncStep1 | Update | Awareness | QueryAwareness | Auth | Stateless | CloseDocument


def read_address(frame: bytes) -> tuple[str, int]:
    """Return (whom the frame is for, the position of its message). Raises MalformedFrame."""
    try:
        length, start = read_var_uint(frame, 0)
        if length > MAX_ADDRESS_BYTES:
            raise MalformedFrame(0, f"an address over {MAX_ADDRESS_BYTES} bytes")
        address, position = read_buf(frame, 0)
        return _text(address, start), position
    except MalformedFrame:
        raise
    except MalformedBytes as error:
        raise MalformedFrame(error.offset, error.reason) from error


def document_of(address: str) -> str:
    """The document's name in an address."""
    return address.partition("\0")[0]


def read_message(frame: bytes, position: int) -> ClientMessage:
    """The message behind the address; what follows it is not looked at. Raises MalformedFrame."""
    try:
        kind, body = read_var_uint(frame, position)
        if kind == _SYNC:
            return _sync_message(frame, body)
        if kind == _AWARENESS:
            return Awareness(read_buf(frame, body)[0])
        if kind == _AUTH:
            return _auth_message(frame, body)
        if kind == _QUERY_AWARENESS:
            return QueryAwareness()
        if kind == _STATELESS:
            payload, _ = read_buf(frame, body)
            _text(payload, body)
            return Stateless(payload)
        if kind == _CLOSE:
            return CloseDocument()
    except MalformedFrame:
        raise
    except MalformedBytes as error:
        raise MalformedFrame(error.offset, error.reason) from error
    raise MalformedFrame(position, f"message type {kind} is not for clients to send")


def _sync_message(frame: bytes, position: int) -> SyncStep1 | Update:
    step, body = read_var_uint(frame, position)
    if step not in (_STEP_1, _STEP_2, _UPDATE):
        raise MalformedFrame(position, f"unknown sync message {step}")
    payload, _ = read_buf(frame, body)
    return SyncStep1(payload) if step == _STEP_1 else Update(payload, is_reply=step == _STEP_2)


def _auth_message(frame: bytes, position: int) -> Auth:
    kind, body = read_var_uint(frame, position)
    if kind != _TOKEN:
        raise MalformedFrame(position, f"authentication message {kind} is not for clients to send")
    token, end = read_buf(frame, body)
    version = None
    if end < len(frame):
        version = read_buf(frame, end)[0][:_MAX_VERSION_BYTES].decode(errors="replace")
    return Auth(_text(token, body), version)


def _text(data: bytes, offset: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedFrame(offset, "text is not UTF-8") from None


# What a server says, behind the address


def address_prefix(address: str) -> bytes:
    """How every frame for this address begins."""
    return buf(address.encode())


ASK_FOR_TOKEN = var_uint(_AUTH) + var_uint(_TOKEN)
"""The client sends its token again."""


def authenticated(*, may_write: bool) -> bytes:
    """The token is good, for writing or for reading alone."""
    return var_uint(_AUTH) + var_uint(_AUTHENTICATED) + buf(b"read-write" if may_write else b"readonly")


def permission_denied(reason: str) -> bytes:
    """The token is not good here, or not any more."""
    return var_uint(_AUTH) + var_uint(_PERMISSION_DENIED) + buf(reason.encode())


def stateless_message(payload: bytes) -> bytes:
    """An application's own text."""
    return var_uint(_STATELESS) + buf(payload)


def close_document(reason: str) -> bytes:
    """The document is closed for this client; the socket stays."""
    return var_uint(_CLOSE) + buf(reason.encode())


def sync_status(*, is_saved: bool) -> bytes:
    """The answer to one SyncStep2 or Update: the provider counts those that are saved."""
    return var_uint(_SYNC_STATUS) + var_uint(int(is_saved))
