"""Somebody whose update is taken in while they are not there."""

from typing import Any

from server.protocol.closing import CloseCode
from server.protocol.update_shape import TooManyStructs
from server.protocol.varint import MalformedBytes
from server.protocol.websocket_frames import Frame
from server.rooms.gate import ForeignClientId
from server.rooms.runs import Run


class AbsentAuthor:
    """A `rooms.member.Member` that hears nothing."""

    def __init__(self, user_id: int, run: Run | None = None) -> None:
        self.user_id = user_id
        self.run = run
        self.has_replica = True
        self.may_write = True
        self.shown_user: dict[str, Any] = {}

    def deliver(self, frame: Frame) -> bool:
        return True

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def slow_down(self, seconds: float) -> None: ...

    def fail(self, error: MalformedBytes | ForeignClientId | TooManyStructs) -> None: ...

    def deny(self, reason: str) -> None: ...

    def close(self, code: CloseCode, reason: str) -> None: ...
