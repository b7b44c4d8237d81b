"""One client in one room, over the y-websocket protocol: what it sends, what it is sent."""

from collections.abc import Callable
from functools import partial
from typing import Final

from auth.grants import Role
from crdt_store.group_commit import GroupCommit
from server.access.identity import Identity
from server.limits.connections import Admission
from server.protocol.closing import CloseCode
from server.protocol.varint import MalformedBytes
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import SYNC_STEP_2, SyncStatus, permission_denied, read_frame
from server.rooms.room import Room
from server.transport.pacing import Paced, Pause
from server.transport.participant import ConnectionLimits, Participant
from server.transport.socket import Socket
from server.transport.witness import Witness

_LAGGING: Final = Pause.LAGGING


class Connection(Paced, Participant):
    """A `SocketListener` to its socket and a `Member` to its room.

    While it is paused its socket is not read.
    """

    __slots__ = (
        "_admission",
        "_on_gone",
        "_pending_statuses",
        "_socket",
        "_turn",
        "_turn_bytes",
        "lagging_sweeps",
        "quiet_sweeps",
        "silent_sweeps",
        "throttled_sweeps",
        "was_throttled",
    )

    def __init__(
        self,
        identity: Identity,
        role: Role,
        room: Room,
        limits: ConnectionLimits,
        commits: GroupCommit,
        admission: Admission,
        on_gone: Callable[["Connection"], None],
        witness: Witness | None = None,
    ) -> None:
        super().__init__(identity, role, room, limits, commits, witness)
        self.silent_sweeps = 0  # for so many nothing was heard,
        self.quiet_sweeps = 0  # nothing was sent,
        self.lagging_sweeps = 0  # the client has been behind,
        self.throttled_sweeps = 0  # and it sent more than it may
        self.was_throttled = False
        self._admission = admission
        self._on_gone = on_gone
        self._pending_statuses = 0
        self._turn = 0.0
        self._turn_bytes = 0
        self._socket: Socket | None = None  # None again once closed

    def start(self, socket: Socket) -> None:
        """Enter the room, and begin to read."""
        self._socket = socket
        self._is_here = True
        self._room.join(self)
        if not self._pauses:
            socket.resume_reading()

    # SocketListener

    def on_binary(self, message: bytes) -> None:
        """Act on one frame of the client."""
        self.silent_sweeps = 0
        self._count_turn(message)
        count = 0
        try:
            for client_message in read_frame(message):
                count += 1
                if self._pauses or self._inbox:
                    self._inbox.append(client_message)
                else:
                    self._act_on(client_message)
        except MalformedBytes as error:
            self.fail(error)
        self._spend(count, self._turn)

    def on_text(self, message: str) -> None:
        """This protocol is binary."""
        self.close(CloseCode.UNSUPPORTED_DATA, "binary messages only")

    def on_heard(self) -> None:
        """The client is alive."""
        self.silent_sweeps = 0

    def on_pong(self, payload: bytes) -> None:
        """The client has got what was sent before the ping."""
        if self._witness is not None and payload:
            self._witness.answered(self, payload)

    def on_drained(self) -> None:
        """The client has caught up with reading."""
        if self._pauses & Pause.LAGGING:
            self.lagging_sweeps = 0
            self._release(Pause.LAGGING)
            self._room.caught_up(self)

    def on_closed(self, code: int) -> None:
        """The socket is gone."""
        self._forget()

    # Member

    def deliver(self, frame: Frame) -> bool:
        """Send one message, unless the client has left too much unread."""
        socket = self._socket
        if socket is None or self._pauses & _LAGGING:
            self._has_all = self._witness is None
            return False
        self.quiet_sweeps = 0
        buffered_bytes = socket.send_frame(frame)
        if buffered_bytes and buffered_bytes > self._limits.max_outbox_bytes:
            self._pause(_LAGGING)
        if not self._has_all and frame.begins_with(SYNC_STEP_2):
            self._catch_up()
        return True

    def close(self, code: CloseCode, reason: str) -> None:
        """Leave the room and end the connection."""
        socket = self._socket
        if socket is not None:
            self._forget()
            socket.close(code, reason)

    # Messages

    def _act_on_other(self, message: object) -> None:
        if isinstance(message, SyncStatus):
            self._pending_statuses += 1
            self._room.when_committed(partial(self._return_status, message.message))
            self._await_commit()

    def _return_status(self, message: bytes) -> None:
        self._pending_statuses -= 1
        self.deliver(Frame(message))

    @property
    def awaits_status(self) -> bool:
        """A y-sweet client waits for word that its changes are safe, and takes 3 s of silence for the end."""
        return self._pending_statuses > 0

    # State

    def warn(self, reason: str) -> None:
        """Say what is wrong in the protocol's own words."""
        self.deliver(Frame(permission_denied(reason)))

    def refuse(self, code: CloseCode, reason: str) -> None:
        """Say why in the protocol's own words, then close."""
        self.warn(reason)
        self.close(code, reason)

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life."""
        if self._socket is not None:
            self._socket.ping(payload)

    def abort(self) -> None:
        """Leave the room and cut the connection."""
        socket = self._socket
        if socket is not None:
            self._forget()
            socket.abort()

    def _stop_reading(self) -> None:
        if self._socket is not None:
            self._socket.pause_reading()

    def _read_on(self) -> None:
        if self._socket is not None:
            self._socket.resume_reading()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._admission.leave()
            self._leave()
            self._on_gone(self)
