"""What a connection tells its witness: from when on it has been sent all that its room tells, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from auth.grants import Role
from server.limits.connections import ConnectionCounts
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import sync_step_1, sync_step_2, update_message
from server.rooms.names import parse_room_name
from server.settings import Settings
from server.transport.connection import Connection
from server.transport.participant import ConnectionLimits
from server.transport.witness import Client
from tests.transport.test_connection_manager import IDENTITY

UPDATE, ANSWER = Frame(update_message(b"\0\0")), Frame(sync_step_2(b"\0\0"))
MAX_OUTBOX_BYTES = 1000


@dataclass
class Listening:
    """A witness that writes down what it is told."""

    told: list[object] = field(default_factory=list)

    def caught_up(self, client: Client) -> None:
        self.told.append("caught up")

    def answered(self, client: Client, payload: bytes) -> None:
        self.told.append(payload)

    def showed(self, client: Client, entries: bytes, own_id: int | None) -> None:
        self.told.append((entries, own_id))

    def left(self, client: Client) -> None:
        self.told.append("left")


class Pipe:
    """A socket of which the client reads nothing while `buffered_bytes` says so."""

    buffered_bytes = 0

    def __init__(self) -> None:
        self.pings: list[bytes] = []

    def send_frame(self, frame: Frame) -> int:
        return self.buffered_bytes

    def ping(self, payload: bytes = b"") -> None:
        self.pings.append(payload)

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self, code: int, reason: str = "") -> None: ...


class OpenRoom:
    """A room that makes up for what was missed by `make_up`."""

    name = parse_room_name("chat:7", plain_names_workspace_id=None)
    make_up: Callable[[Any], object] = staticmethod(lambda member: None)

    def join(self, member: Any) -> None: ...
    def leave(self, member: Any) -> None: ...

    def caught_up(self, member: Any) -> None:
        self.make_up(member)


@pytest.fixture
def witness() -> Listening:
    return Listening()


def connect(witness: Listening | None) -> tuple[Connection, Pipe]:
    limits = ConnectionLimits(1000, MAX_OUTBOX_BYTES)
    admission = ConnectionCounts(Settings()).enter(1, "here")
    connection = Connection(
        IDENTITY,
        Role.EDITOR,
        cast("Any", OpenRoom()),
        limits,
        cast("Any", SimpleNamespace()),
        admission,
        lambda _: None,
        witness,
    )
    pipe = Pipe()
    connection.start(cast("Any", pipe))
    return connection, pipe


def test_a_client_has_all_once_it_was_sent_what_it_lacked(witness: Listening) -> None:
    connection, _ = connect(witness)
    for frame in (Frame(sync_step_1(b"\0")), UPDATE, Frame(b"\x01\x01\x00")):
        assert connection.deliver(frame)
        assert not connection.has_all
    assert connection.deliver(ANSWER)
    assert connection.has_all
    assert connection.deliver(ANSWER)
    assert witness.told == ["caught up"]


def test_who_missed_something_has_all_again_once_that_was_made_up_for(witness: Listening) -> None:
    connection, pipe = connect(witness)
    connection.deliver(ANSWER)
    pipe.buffered_bytes = MAX_OUTBOX_BYTES + 1
    assert connection.deliver(UPDATE)
    assert connection.has_all
    assert not connection.deliver(UPDATE)
    assert not connection.deliver(ANSWER)
    assert not connection.has_all
    pipe.buffered_bytes = 0
    connection.on_drained()
    assert connection.deliver(UPDATE)
    assert not connection.has_all
    connection.deliver(ANSWER)
    assert connection.has_all
    assert witness.told == ["caught up", "caught up"]


def test_pongs_that_carry_something_and_the_end_are_told(witness: Listening) -> None:
    connection, pipe = connect(witness)
    connection.ping()
    connection.ping(b"7")
    assert pipe.pings == [b"", b"7"]
    connection.on_pong(b"")
    connection.on_pong(b"7")
    connection.close(cast("Any", 1000), "")
    connection.on_closed(1006)
    assert witness.told == [b"7", "left"]


def test_in_rooms_without_a_witness_nothing_is_looked_at() -> None:
    connection, pipe = connect(None)
    looked = Frame(update_message(b"\0\0"))
    connection.deliver(looked)
    pipe.buffered_bytes = MAX_OUTBOX_BYTES + 1
    connection.deliver(looked)
    assert not connection.deliver(looked)
    connection.on_pong(b"7")
    assert connection.has_all
