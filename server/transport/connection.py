"""One client in one room, over the y-websocket protocol: what it may do, what it sends, what it is sent.

Errors of the layers below become close codes here, once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from auth.grants import Action, Grant, Role
from crdt_store.group_commit import GroupCommit
from server.access.identity import Identity
from server.access.writing import write_action
from server.limits.connections import Admission
from server.protocol.closing import CloseCode
from server.protocol.update_shape import TooManyStructs
from server.protocol.varint import MalformedBytes
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import (
    SYNC_STEP_2,
    Awareness,
    ClientMessage,
    SyncStatus,
    SyncStep1,
    Update,
    permission_denied,
    read_frame,
)
from server.rooms.gate import ForeignClientId, StaleReplica
from server.rooms.names import RoomName
from server.rooms.room import Room, RoomBusy
from server.transport.shown_user import shown_user
from server.transport.socket import Socket
from server.transport.witness import Witness


class Pause:
    """Why nothing is taken from a client for now: bits, since enum flags cost 1 µs a look, at every delivery."""

    TURN = 1  # it has had its share of this turn of the event loop
    STANDSTILL = 2  # its room stands still
    DISK = 4  # more is waiting to be committed than may
    UNANSWERED = 8  # much that it asked for waits for the disk
    COSTLY = 16  # what it did took the room's time
    LAGGING = 32  # it has not read what it was sent: asking for more would not help
    IN_THREAD = 64  # something that it sent is looked at in another thread
    THROTTLED = 128  # it, or its user, sends more than may be sent
    RIGHTS = 256  # what it may do has changed, and is being looked up


_LAGGING: Final = Pause.LAGGING
_MAX_TURN_BYTES = 64 * 1024
_MESSAGE_COST_BYTES = 512
_MESSAGES_PER_RELEASE = 64
"""A client's share of one turn: so many bytes, a message counted as if it had these more; some milliseconds."""

_MAX_LOOK_BYTES = 64 * 1024
"""A SyncStep2 of somebody who may not write is not looked at if it is larger: it is not empty, that is plain."""

_NO_STRUCTS = b"\0"
"""How an update begins that only deletes."""

_DENIAL_MESSAGES = 100
"""What is refused counts as so many messages: who goes on regardless is slowed down, then closed."""

_MAX_UNANSWERED = 16
"""Questions of one client that may wait for a commit; then it is not read until they are answered."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may do, in bytes."""

    max_awareness_bytes: int
    max_outbox_bytes: int


class Connection:
    """A `SocketListener` to its socket and a `Member` to its room.

    While it is paused its socket is not read, and what had been read already waits in a short inbox.
    """

    has_replica = True

    __slots__ = (
        "_admission",
        "_commits",
        "_costly_until",
        "_grant",
        "_has_all",
        "_inbox",
        "_limits",
        "_on_gone",
        "_pauses",
        "_pending_statuses",
        "_room",
        "_socket",
        "_turn",
        "_turn_bytes",
        "_unanswered",
        "_witness",
        "_write",
        "identity",
        "lagging_sweeps",
        "quiet_sweeps",
        "shown_user",
        "silent_sweeps",
        "throttled_sweeps",
        "user_id",
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
        self.identity = identity
        self.user_id = identity.user_id
        self.shown_user = shown_user(identity)
        self.silent_sweeps = 0  # for so many nothing was heard,
        self.quiet_sweeps = 0  # nothing was sent,
        self.lagging_sweeps = 0  # the client has been behind,
        self.throttled_sweeps = 0  # and it sent more than it may
        self.was_throttled = False
        self._grant = Grant(role)
        self._write = write_action(room.name.kind)
        self._admission = admission
        self._room = room
        self._limits = limits
        self._commits = commits
        self._on_gone = on_gone
        self._witness = witness
        self._has_all = witness is None  # else nobody asks
        self._inbox: list[ClientMessage] = []
        self._pauses = 0
        self._costly_until = 0.0
        self._pending_statuses = 0
        self._unanswered = 0
        self._turn = 0.0
        self._turn_bytes = 0
        self._socket: Socket | None = None  # None again once closed

    def start(self, socket: Socket) -> None:
        """Enter the room, and begin to read."""
        self._socket = socket
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

    def _count_turn(self, message: bytes) -> None:
        """Leave the rest to the next turns of the loop: a socket's whole buffer may be drained in one."""
        loop = asyncio.get_running_loop()
        now = loop.time()  # of uvloop: when this turn began
        if now != self._turn:
            self._turn, self._turn_bytes = now, 0
        self._turn_bytes += len(message) + _MESSAGE_COST_BYTES
        if self._turn_bytes > _MAX_TURN_BYTES and not self._pauses & Pause.TURN:
            self._pause(Pause.TURN)
            loop.call_soon(self._release, Pause.TURN)

    def _spend(self, messages: int, now: float) -> None:
        wait_seconds = self._admission.spend(messages, now)
        if wait_seconds and not self._pauses & Pause.THROTTLED:
            self._throttle(wait_seconds)

    def _throttle(self, wait_seconds: float) -> None:
        self.was_throttled = True
        self._pause(Pause.THROTTLED)
        asyncio.get_running_loop().call_later(wait_seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        """What came before the socket stood still counted too."""
        wait_seconds = self._admission.spend(0, asyncio.get_running_loop().time())
        if wait_seconds:
            self._throttle(wait_seconds)
        else:
            self._release(Pause.THROTTLED)

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

    def _catch_up(self) -> None:
        self._has_all = True
        if self._witness is not None:
            self._witness.caught_up(self)

    def pause(self) -> None:
        """Take nothing more: the room stands still."""
        self._pause(Pause.STANDSTILL)

    def resume(self) -> None:
        """The room can go on."""
        self._release(Pause.STANDSTILL)

    def slow_down(self, seconds: float) -> None:
        """Take nothing more for a while; the longest such while counts."""
        loop = asyncio.get_running_loop()
        if loop.time() + seconds > self._costly_until:
            self._costly_until = loop.time() + seconds
            self._pause(Pause.COSTLY)
            loop.call_later(seconds, self._speed_up, self._costly_until)

    def _speed_up(self, until: float) -> None:
        if until == self._costly_until:
            self._release(Pause.COSTLY)

    def fail(self, error: MalformedBytes | ForeignClientId | TooManyStructs) -> None:
        """End the connection for what the client has sent."""
        if isinstance(error, ForeignClientId):
            self.refuse(CloseCode.FORBIDDEN, str(error))
        elif isinstance(error, TooManyStructs):
            self.refuse(CloseCode.MESSAGE_TOO_BIG, str(error))
        else:
            self.close(CloseCode.MALFORMED, str(error))

    def close(self, code: CloseCode, reason: str) -> None:
        """Leave the room and end the connection."""
        socket = self._socket
        if socket is not None:
            self._forget()
            socket.close(code, reason)

    # Messages

    def _act_on(self, message: ClientMessage) -> None:
        room = self._room
        if self._socket is None:
            return
        if isinstance(message, Update):
            self._receive_update(message)
        elif isinstance(message, Awareness):
            if len(message.entries) > self._limits.max_awareness_bytes:
                limit = self._limits.max_awareness_bytes
                self.close(CloseCode.MESSAGE_TOO_BIG, f"awareness over {limit} bytes (max_awareness_bytes)")
            elif self._grant.allows(Action.SHOW_PRESENCE):
                room.receive_awareness(self, message.entries)
                if self._witness is not None:
                    self._witness.showed(self, message.entries, room.presence.own_id(self))
        elif isinstance(message, SyncStep1):
            self._answer_sync(message)
        elif isinstance(message, SyncStatus):
            self._pending_statuses += 1
            room.when_committed(partial(self._return_status, message.message))
            self._await_commit()
        else:
            room.presence.tell(self)

    def _answer_sync(self, question: SyncStep1) -> None:
        try:
            self._room.answer_sync(self, question.state_vector)
        except StaleReplica as stale:
            if not self._grant.allows(self._write):
                self.refuse(CloseCode.HISTORY_CHANGED, str(stale))
        else:
            self._await_commit()

    def _receive_update(self, update: Update) -> None:
        room = self._room
        if not room.name.has_document:
            reason = f"{room.name} has no document"
        elif not self._grant.allows(self._write):
            reason = f"the role {self._grant.role.name.lower()} may not write"
        elif update.data[:1] != _NO_STRUCTS and (full_reason := room.full_reason) is not None:
            reason = full_reason
        else:
            room.receive_update(self, update.data, is_reply=update.is_reply)
            if self._commits.saturated and not self._pauses & Pause.DISK:
                self._pause(Pause.DISK)
                self._commits.on_relief(partial(self._release, Pause.DISK))
            return
        # Every stock viewer answers our SyncStep1, usually with nothing new: that is no violation.
        if not update.is_reply or len(update.data) > _MAX_LOOK_BYTES:
            self.deny(reason)
        else:
            self._pause(Pause.IN_THREAD)
            room.would_change(update.data).add_done_callback(partial(self._judged, reason))

    def _judged(self, reason: str, would_change: asyncio.Future[bool]) -> None:
        try:
            if would_change.result():
                self.deny(reason)
        except (MalformedBytes, TooManyStructs) as error:
            self.fail(error)
        except RoomBusy:  # it is over, and so is this connection
            return
        self._release(Pause.IN_THREAD)

    def deny(self, reason: str) -> None:
        """Refuse something that the client has sent, and say why."""
        self._room.denials += 1
        self.warn(reason)
        self._spend(_DENIAL_MESSAGES, asyncio.get_running_loop().time())

    def _await_commit(self) -> None:
        self._unanswered += 1
        if self._unanswered == _MAX_UNANSWERED:
            self._pause(Pause.UNANSWERED)
        self._room.when_committed(self._committed)

    def _committed(self) -> None:
        self._unanswered -= 1
        if not self._unanswered and self._pauses & Pause.UNANSWERED:
            self._release(Pause.UNANSWERED)

    def _return_status(self, message: bytes) -> None:
        self._pending_statuses -= 1
        self.deliver(Frame(message))

    @property
    def awaits_status(self) -> bool:
        """A y-sweet client waits for word that its changes are safe, and takes 3 s of silence for the end."""
        return self._pending_statuses > 0

    # Rights

    def await_role(self) -> None:
        """Take nothing more until `set_role`; what was held of it is let go, or it might come up without a right."""
        self._pause(Pause.RIGHTS)
        self._room.let_go_of_held(self)

    def set_role(self, role: Role) -> None:
        """From the next message on. Who may write now is asked for what was refused, or let go, before."""
        if role < Role.VIEWER:
            self.refuse(CloseCode.FORBIDDEN, "you have no role in this room any more")
            return
        must_ask = bool(self._pauses & Pause.RIGHTS) or not self._grant.allows(self._write)
        self._grant = Grant(role)
        if must_ask and self._grant.allows(self._write) and self._socket is not None:
            self._room.ask_for_missing(self)
        self._release(Pause.RIGHTS)

    def renew(self, identity: Identity) -> None:
        """The same user has shown a fresh token: it counts from now on."""
        self.identity = identity
        self.shown_user = shown_user(identity)

    @property
    def may_write(self) -> bool:
        """Whether the role allows to write to this document."""
        return self._grant.allows(self._write)

    @property
    def room_name(self) -> RoomName:
        """Where it is."""
        return self._room.name

    # State

    def warn(self, reason: str) -> None:
        """Say what is wrong in the protocol's own words."""
        self.deliver(Frame(permission_denied(reason)))

    def refuse(self, code: CloseCode, reason: str) -> None:
        """Say why in the protocol's own words, then close."""
        self.warn(reason)
        self.close(code, reason)

    def end_if_stale(self) -> None:
        """The client has been silent for a while: if it still owes its copy of an earlier epoch, it goes."""
        if self._socket is not None:
            self._room.give_up_stale(self)

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life."""
        if self._socket is not None:
            self._socket.ping(payload)

    @property
    def has_all(self) -> bool:
        """Whether it was sent all that its room has told, since its replica was brought up to date."""
        return self._has_all

    def abort(self) -> None:
        """Leave the room and cut the connection."""
        socket = self._socket
        if socket is not None:
            self._forget()
            socket.abort()

    @property
    def is_paused(self) -> bool:
        """Whether silence says nothing about the client, since it is not read."""
        return bool(self._pauses)

    @property
    def is_throttled(self) -> bool:
        """Whether it is not read now because it sent too much."""
        return bool(self._pauses & Pause.THROTTLED)

    @property
    def is_lagging(self) -> bool:
        """Whether it has left too much unread."""
        return bool(self._pauses & Pause.LAGGING)

    def _pause(self, reason: int) -> None:
        if not self._pauses and self._socket is not None:
            self._socket.pause_reading()
        self._pauses |= reason

    def _release(self, reason: int) -> None:
        self._pauses &= ~reason
        waiting, self._inbox = self._inbox, []
        done = 0
        try:
            while done < min(len(waiting), _MESSAGES_PER_RELEASE) and not self._pauses:
                done += 1
                self._act_on(waiting[done - 1])
        except MalformedBytes as error:
            self.fail(error)
        self._inbox[:0] = waiting[done:]
        if self._inbox and not self._pauses and self._socket is not None:
            self._pause(Pause.TURN)
            asyncio.get_running_loop().call_soon(self._release, Pause.TURN)
        if not self._pauses and self._socket is not None:
            self._socket.resume_reading()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._inbox.clear()
            self._admission.leave()
            self._room.leave(self)
            self._on_gone(self)
            if self._witness is not None:
                self._witness.left(self)
