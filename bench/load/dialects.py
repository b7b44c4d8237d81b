"""The messages of a client: how y-websocket opens a room and wraps them, and how Hocuspocus wants it.

Written from the bytes up, so that it can measure other versions of our server.
"""

from dataclasses import dataclass

from bench.load.frames import masked_frame
from server.protocol.varint import buf, read_buf, read_var_uint, var_uint

SYNC, AWARENESS, AUTH, SYNC_REPLY = 0, 1, 2, 4
STEP_1, STEP_2, UPDATE = 0, 1, 2
_EMPTY_UPDATE = b"\x00\x00"
_TOKEN = b"\x02\x00"
_DENIED = b"\x02\x00"


def update_message(update: bytes) -> bytes:
    """A Yjs update as it happens."""
    return b"\x00\x02" + buf(update)


def awareness_message(client_id: int, clock: int, state: bytes) -> bytes:
    """The state of one client, as JSON."""
    return b"\x01" + buf(b"\x01" + var_uint(client_id) + var_uint(clock) + buf(state))


def awareness_clocks(entries: bytes) -> list[tuple[int, int]]:
    """The (client id, clock) of each entry of an awareness message that has a state."""
    count, position = read_var_uint(entries, 0)
    clocks = []
    for _ in range(count):
        client_id, position = read_var_uint(entries, position)
        clock, position = read_var_uint(entries, position)
        state, position = read_buf(entries, position)
        if state != b"null":
            clocks.append((client_id, clock))
    return clocks


@dataclass(frozen=True, slots=True)
class Dialect:
    """`names_rooms`: every message begins with its room's name, and the first one brings a token."""

    names_rooms: bool

    def frame(self, room: str, message: bytes) -> bytes:
        """The masked frame of a message of the y-websocket protocol."""
        return masked_frame(buf(room.encode()) + message if self.names_rooms else message)

    def opening(self, room: str, state_vector: bytes, awareness: bytes | None = None) -> bytes:
        """The frames with which a provider begins: what it has, and its awareness."""
        messages = [_TOKEN + buf(b"none")] if self.names_rooms else []
        messages.append(b"\x00\x00" + buf(state_vector))
        if awareness is not None:
            messages.append(awareness)
        return b"".join(self.frame(room, message) for message in messages)

    def nothing_new(self, room: str) -> bytes:
        """The answer to a server's SyncStep1 by who has nothing that the server lacks."""
        return self.frame(room, b"\x00\x01" + buf(_EMPTY_UPDATE))

    def read(self, payload: bytes) -> tuple[int, int, bytes]:
        """(type, step, content) of a server's message; step is 0 and content empty where they don't matter.

        Raises MalformedBytes for bytes that are cut off, PermissionError where the server refuses.
        """
        position = read_buf(payload, 0)[1] if self.names_rooms else 0
        kind, body = read_var_uint(payload, position)
        if kind in (SYNC, SYNC_REPLY):
            step, body = read_var_uint(payload, body)
            return SYNC, step, read_buf(payload, body)[0]
        if kind == AWARENESS:
            return AWARENESS, 0, read_buf(payload, body)[0]
        if kind == AUTH and payload.startswith(_DENIED, position):
            raise PermissionError(payload[body + 1 :].decode(errors="replace"))
        return kind, 0, b""


Y_WEBSOCKET = Dialect(names_rooms=False)
HOCUSPOCUS = Dialect(names_rooms=True)
