"""A connection as those see it who watch over all of them: `Connection`, and the JSON protocol's."""

from typing import Protocol

from auth.grants import Role
from server.access.identity import Identity
from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import Frame
from server.rooms.names import RoomName


class Watched(Protocol):
    """The connection sets its counters of sweeps to 0 when it hears, or says, something."""

    silent_sweeps: int
    quiet_sweeps: int
    lagging_sweeps: int
    throttled_sweeps: int
    was_throttled: bool

    @property
    def identity(self) -> Identity: ...

    @property
    def user_id(self) -> int: ...

    @property
    def room_name(self) -> RoomName: ...

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

    def refuse(self, code: CloseCode, reason: str) -> None: ...

    def close(self, code: CloseCode, reason: str) -> None: ...

    def await_role(self) -> None: ...

    def set_role(self, role: Role) -> None: ...
