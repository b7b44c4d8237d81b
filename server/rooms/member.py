"""A connection as its room sees it; `transport.connection.Connection` is one."""

from collections.abc import Mapping
from typing import Any, Protocol

from server.protocol.closing import CloseCode
from server.protocol.update_shape import TooManyStructs
from server.protocol.varint import MalformedBytes
from server.protocol.websocket_frames import Frame
from server.rooms.gate import ForeignClientId
from server.rooms.runs import Run


class Member(Protocol):
    """Somebody in a room. No method waits or raises."""

    @property
    def user_id(self) -> int: ...

    @property
    def run(self) -> Run | None:
        """Which run of an agent it is, if it is one."""

    @property
    def shown_user(self) -> Mapping[str, Any]:
        """What the others see as `user`, whatever the client claims."""

    @property
    def has_replica(self) -> bool:
        """Whether it holds the document, and so belongs to one epoch of it."""

    @property
    def may_write(self) -> bool:
        """Whether it may change the document now."""

    def deliver(self, frame: Frame) -> bool:
        """Queue one message; False if the member has fallen behind and it was not queued."""

    def pause(self) -> None:
        """Take nothing more from this member until `resume`."""

    def resume(self) -> None: ...

    def slow_down(self, seconds: float) -> None:
        """Take nothing more for a while: what the member did was costly."""

    def fail(self, error: MalformedBytes | ForeignClientId | TooManyStructs) -> None:
        """End the connection for what the member has sent."""

    def deny(self, reason: str) -> None:
        """Tell the member that something it sent was not accepted."""

    def close(self, code: CloseCode, reason: str) -> None:
        """End the connection; the reason is for its user."""
