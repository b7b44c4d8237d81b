"""Connections as those see them who watch over all of them: `Connection`, the JSON and the Hocuspocus protocol's."""

from typing import Protocol

from auth.grants import Role
from server.access.identity import Identity
from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import Frame
from server.rooms.names import RoomName


class Guest(Protocol):
    """Somebody in a room by a token: ended when that ends, and followed by changes of rights."""

    @property
    def identity(self) -> Identity: ...

    @property
    def user_id(self) -> int: ...

    @property
    def room_name(self) -> RoomName: ...

    def refuse(self, code: CloseCode, reason: str) -> None: ...

    def close(self, code: CloseCode, reason: str) -> None: ...

    def await_role(self) -> None: ...

    def set_role(self, role: Role) -> None: ...


class Line(Protocol):
    """A socket; it sets its counters of sweeps to 0 when it hears, or says, something."""

    silent_sweeps: int
    quiet_sweeps: int
    lagging_sweeps: int
    throttled_sweeps: int
    was_throttled: bool

    @property
    def is_lagging(self) -> bool: ...

    @property
    def is_paused(self) -> bool: ...

    @property
    def is_throttled(self) -> bool: ...

    @property
    def awaits_status(self) -> bool: ...

    def deliver(self, frame: Frame) -> bool: ...

    def end_if_stale(self) -> None: ...

    def ping(self) -> None: ...

    def abort(self) -> None: ...

    def warn(self, reason: str) -> None: ...

    def close(self, code: CloseCode, reason: str) -> None: ...


class Watched(Guest, Line, Protocol):
    """A connection that is both: one socket, one token."""
