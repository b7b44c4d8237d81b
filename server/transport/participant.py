"""One client in one room, whatever protocol it speaks: what it may do there, and what its messages lead to.

Errors of the layers below become close codes here, once.
"""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial

from auth.grants import Action, Grant, Role
from crdt_store.group_commit import GroupCommit
from server.access.identity import Identity
from server.access.writing import write_action
from server.protocol.closing import CloseCode
from server.protocol.update_shape import TooManyStructs
from server.protocol.varint import MalformedBytes
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import Awareness, QueryAwareness, SyncStep1, Update
from server.rooms.gate import ForeignClientId, StaleReplica
from server.rooms.names import RoomName
from server.rooms.receipts import Receipt
from server.rooms.room import Room, RoomBusy
from server.transport.pacing import Pause
from server.transport.shown_user import shown_user
from server.transport.witness import Witness

_MESSAGES_PER_RELEASE = 64
"""A client's share of one turn, of what waited."""

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


class Participant(ABC):
    """Most of a `Member`; how it is told something, and how it ends, is its protocol's affair.

    While it is paused nothing is taken from it, and what had been read already waits in a short inbox.
    """

    has_replica = True

    __slots__ = (
        "_commits",
        "_costly_until",
        "_grant",
        "_has_all",
        "_inbox",
        "_is_here",
        "_limits",
        "_pauses",
        "_room",
        "_unanswered",
        "_witness",
        "_write",
        "identity",
        "run",
        "shown_user",
        "user_id",
    )

    def __init__(
        self,
        identity: Identity,
        role: Role,
        room: Room,
        limits: ConnectionLimits,
        commits: GroupCommit,
        witness: Witness | None,
    ) -> None:
        self.identity = identity
        self.user_id = identity.user_id
        self.run = identity.run
        self.shown_user = shown_user(identity)
        self._grant = Grant(role)
        self._write = write_action(room.name.kind)
        self._room = room
        self._limits = limits
        self._commits = commits
        self._witness = witness
        self._has_all = witness is None  # else nobody asks
        self._inbox: list[object] = []
        self._pauses = 0
        self._is_here = False
        self._costly_until = 0.0
        self._unanswered = 0

    # Of its protocol

    @abstractmethod
    def deliver(self, frame: Frame) -> bool:
        """Queue one message; False if the client has fallen behind."""

    @abstractmethod
    def close(self, code: CloseCode, reason: str) -> None:
        """Leave the room for good."""

    @abstractmethod
    def warn(self, reason: str) -> None:
        """Say what is wrong, if the protocol has words for it."""

    @abstractmethod
    def refuse(self, code: CloseCode, reason: str) -> None:
        """Say why in the protocol's own words, then close."""

    @abstractmethod
    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life."""

    @abstractmethod
    def _spend(self, messages: int, now: float) -> None: ...

    @abstractmethod
    def _stop_reading(self) -> None: ...

    @abstractmethod
    def _read_on(self) -> None: ...

    # Member

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
        """End it for what the client has sent."""
        if isinstance(error, ForeignClientId):
            self.refuse(CloseCode.FORBIDDEN, str(error))
        elif isinstance(error, TooManyStructs):
            self.refuse(CloseCode.MESSAGE_TOO_BIG, str(error))
        else:
            self.close(CloseCode.MALFORMED, str(error))

    def deny(self, reason: str) -> None:
        """Refuse something that the client has sent, and say why."""
        self._room.denials += 1
        self.warn(reason)
        self._spend(_DENIAL_MESSAGES, asyncio.get_running_loop().time())

    # Messages

    def _act_on(self, message: object) -> None:
        """Raises MalformedBytes."""
        if not self._is_here:
            return
        if isinstance(message, Update):
            self._receive_update(message)
        elif isinstance(message, Awareness):
            self._receive_awareness(message)
        elif isinstance(message, SyncStep1):
            self._answer_sync(message)
        elif isinstance(message, QueryAwareness):
            self._room.presence.tell(self)
        else:
            self._act_on_other(message)

    def _act_on_other(self, message: object) -> None:
        """What only its protocol knows."""
        raise NotImplementedError

    def _receive_awareness(self, message: Awareness) -> None:
        room = self._room
        if len(message.entries) > self._limits.max_awareness_bytes:
            limit = self._limits.max_awareness_bytes
            self.close(CloseCode.MESSAGE_TOO_BIG, f"awareness over {limit} bytes (max_awareness_bytes)")
        elif self._grant.allows(Action.SHOW_PRESENCE):
            room.receive_awareness(self, message.entries)
            if self._witness is not None:
                self._witness.showed(self, message.entries, room.presence.own_id(self))

    def _answer_sync(self, question: SyncStep1) -> None:
        try:
            self._room.answer_sync(self, question.state_vector)
        except StaleReplica as stale:
            if not self._grant.allows(self._write):
                self.refuse(CloseCode.HISTORY_CHANGED, str(stale))
        else:
            self._await_commit()

    def _receive_update(self, update: Update, receipt: Receipt | None = None) -> None:
        room = self._room
        if not room.name.has_document:
            reason = f"{room.name} has no document"
        elif not self._grant.allows(self._write):
            reason = f"the role {self._grant.role.name.lower()} may not write"
        elif update.data[:1] != _NO_STRUCTS and (full_reason := room.full_reason) is not None:
            reason = full_reason
        elif self.run is not None and (refusal := self.run.refusal(room.name.canonical, len(update.data))):
            reason = refusal
        else:
            room.receive_update(self, update.data, is_reply=update.is_reply, receipt=receipt)
            if self._commits.saturated and not self._pauses & Pause.DISK:
                self._pause(Pause.DISK)
                self._commits.on_relief(partial(self._release, Pause.DISK))
            return
        # Every stock viewer answers our SyncStep1, usually with nothing new: that is no violation.
        if not update.is_reply or len(update.data) > _MAX_LOOK_BYTES:
            self.deny(reason)
            if receipt is not None:
                receipt(False)
        else:
            self._pause(Pause.IN_THREAD)
            room.would_change(update.data).add_done_callback(partial(self._judged, reason, receipt))

    def _judged(self, reason: str, receipt: Receipt | None, would_change: asyncio.Future[bool]) -> None:
        try:
            is_new = would_change.result()
        except (MalformedBytes, TooManyStructs) as error:
            self.fail(error)
        except RoomBusy:  # it is over, and so is this connection
            return
        else:
            if is_new:
                self.deny(reason)
            if receipt is not None:
                receipt(not is_new)
        self._release(Pause.IN_THREAD)

    def _await_commit(self) -> None:
        self._unanswered += 1
        if self._unanswered == _MAX_UNANSWERED:
            self._pause(Pause.UNANSWERED)
        self._room.when_committed(self._committed)

    def _committed(self) -> None:
        self._unanswered -= 1
        if not self._unanswered and self._pauses & Pause.UNANSWERED:
            self._release(Pause.UNANSWERED)

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
        if must_ask and self._grant.allows(self._write) and self._is_here:
            self._room.ask_for_missing(self)
        self._release(Pause.RIGHTS)

    def renew(self, identity: Identity) -> None:
        """The same user has shown a fresh token: it counts from now on."""
        self.identity = identity
        self.run = identity.run
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

    @property
    def has_all(self) -> bool:
        """Whether it was sent all that its room has told, since its replica was brought up to date."""
        return self._has_all

    def _catch_up(self) -> None:
        self._has_all = True
        if self._witness is not None:
            self._witness.caught_up(self)

    def end_if_stale(self) -> None:
        """The client has been silent for a while: if it still owes its copy of an earlier epoch, it goes."""
        if self._is_here:
            self._room.give_up_stale(self)

    def _pause(self, reason: int) -> None:
        if not self._pauses and self._is_here:
            self._stop_reading()
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
        if self._inbox and not self._pauses and self._is_here:
            self._pause(Pause.TURN)
            asyncio.get_running_loop().call_soon(self._release, Pause.TURN)
        if not self._pauses and self._is_here:
            self._read_on()

    def _leave(self) -> None:
        """It is gone."""
        self._is_here = False
        self._inbox.clear()
        self._room.leave(self)
        if self._witness is not None:
            self._witness.left(self)
