"""The y-websocket protocol (docs/wire.md) and y-sweet's sync status: frames to messages and back.

A client's frame may hold several messages; each frame built here holds one, since 3.x clients read only the first.
"""

from collections.abc import Iterator
from typing import NamedTuple

from server.protocol.varint import MalformedBytes, buf, read_buf, read_var_uint, var_uint

_SYNC, _AWARENESS, _AUTH, _QUERY_AWARENESS, _SYNC_STATUS = 0, 1, 2, 3, 102
_STEP_1, _STEP_2, _UPDATE = 0, 1, 2
_PERMISSION_DENIED = 0

SYNC_STEP_2 = b"\x00\x01"
"""How a SyncStep2 begins."""

KEEPALIVE = b"\x01\x01\x00"
"""An awareness message about nobody: counts as a sign of life for every client's watchdog."""


MAX_MESSAGES_PER_FRAME = 32
"""Stock clients send one; each may cost as much as a whole document is large."""


class MalformedFrame(MalformedBytes):
    """A frame that is not the y-websocket protocol; `offset` counts from its first byte."""


class SyncStep1(NamedTuple):
    """What its sender has, as a state vector; asks for the rest."""

    state_vector: bytes


class Update(NamedTuple):
    """An update; `is_reply` when it is a SyncStep2, which carries whatever its sender's replica holds."""

    data: bytes
    is_reply: bool


class Awareness(NamedTuple):
    """Encoded awareness entries (see awareness_codec)."""

    entries: bytes


class QueryAwareness(NamedTuple):
    """Asks for everybody's awareness state."""


class SyncStatus(NamedTuple):
    """y-sweet's counter of local changes; `message` is sent back as it came once those are safe."""

    message: bytes


ClientMessage = SyncStep1 | Update | Awareness | QueryAwareness | SyncStatus


def read_frame(frame: bytes) -> Iterator[ClientMessage]:
    """The messages of one frame, in order. Raises MalformedFrame, possibly after messages that were fine."""
    position, size, count = 0, len(frame), 0
    if not size:
        raise MalformedFrame(0, "empty frame")
    while position < size:
        count += 1
        if count > MAX_MESSAGES_PER_FRAME:
            raise MalformedFrame(position, f"more than {MAX_MESSAGES_PER_FRAME} messages")
        try:
            kind, body = read_var_uint(frame, position)
            if kind == _SYNC:
                step, body = read_var_uint(frame, body)
                if step == _STEP_1 and body == size:
                    return  # 4.0 pre-releases send `00 00` alone after two sync messages in one frame
                payload, position = read_buf(frame, body)
                yield _sync_message(step, payload, body)
            elif kind == _AWARENESS:
                payload, position = read_buf(frame, body)
                yield Awareness(payload)
            elif kind == _QUERY_AWARENESS:
                yield QueryAwareness()
                return  # y-sweet's client appends its own states
            elif kind == _SYNC_STATUS:
                _, end = read_buf(frame, body)
                yield SyncStatus(frame[position:end])
                position = end
            else:
                raise MalformedFrame(position, f"unknown message type {kind}")
        except MalformedFrame:
            raise
        except MalformedBytes as error:
            raise MalformedFrame(error.offset, error.reason) from error


def _sync_message(step: int, payload: bytes, offset: int) -> ClientMessage:
    if step == _UPDATE:
        return Update(payload, is_reply=False)
    if step == _STEP_2:
        return Update(payload, is_reply=True)
    if step == _STEP_1:
        return SyncStep1(payload)
    raise MalformedFrame(offset, f"unknown sync message {step}")


def sync_step_1(state_vector: bytes) -> bytes:
    """Ask for what is not in `state_vector`."""
    return b"\x00\x00" + buf(state_vector)


def sync_step_2(update: bytes) -> bytes:
    """The answer to a SyncStep1."""
    return SYNC_STEP_2 + buf(update)


def update_message(update: bytes) -> bytes:
    """An update as it happens."""
    return b"\x00\x02" + buf(update)


def awareness_message(entries: bytes) -> bytes:
    """Awareness entries, encoded."""
    return b"\x01" + buf(entries)


def permission_denied(reason: str) -> bytes:
    """`02 00 reason`: stock clients print it."""
    return var_uint(_AUTH) + var_uint(_PERMISSION_DENIED) + buf(reason.encode())
