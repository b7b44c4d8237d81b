"""One document of a Hocuspocus socket: a member of its room like any other, that speaks behind an address."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from auth.grants import Action, Role
from crdt_store.group_commit import GroupCommit
from server.access.identity import Identity
from server.protocol.closing import CloseCode
from server.protocol.hocuspocus import (
    SYNC_STEP_1,
    Stateless,
    address_prefix,
    authenticated,
    close_document,
    permission_denied,
    stateless_message,
    sync_status,
)
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import SYNC_STEP_2, SyncStep1, Update
from server.rooms.receipts import Receipt
from server.rooms.room import Room
from server.transport.participant import ConnectionLimits, Participant
from server.transport.witness import Witness

_AUTH_OF_YJS = b"\x02"
"""How y-websocket's denials begin; here a status says it."""


class Line(Protocol):
    """The socket that the document shares with others."""

    def send_frame(self, frame: Frame) -> None: ...

    def spend(self, messages: int) -> None: ...

    def ping(self, payload: bytes = b"") -> None: ...

    def close(self, code: CloseCode, reason: str) -> None: ...

    @property
    def is_lagging(self) -> bool: ...

    def inbox_changed(self) -> None:
        """A document takes, or does not take, what comes for it."""


class HocuspocusDocument(Participant):
    """The provider counts what is not saved: its start as one, and each edit; a status of 1 as one less.

    So nothing but the answer to its own SyncStep1, and its edits, may be answered with 1.
    """

    __slots__ = (
        "_asked",
        "_is_asked_extra",
        "_line",
        "_must_ask",
        "_on_gone",
        "_owed",
        "_prefix",
        "_questions",
        "address",
        "waiting_bytes",
    )

    def __init__(
        self,
        identity: Identity,
        role: Role,
        room: Room,
        limits: ConnectionLimits,
        commits: GroupCommit,
        line: Line,
        address: str,
        on_gone: Callable[["HocuspocusDocument"], None],
        witness: Witness | None = None,
    ) -> None:
        super().__init__(identity, role, room, limits, commits, witness)
        self.address = address
        self.waiting_bytes = 0
        self._prefix = address_prefix(address)
        self._line = line
        self._on_gone = on_gone
        self._questions = 0  # of ours that were not answered
        self._asked = 0  # of those, how many came before the client asked: its next SyncStep1 needs no other
        self._is_asked_extra = False  # one that the provider has not counted
        self._must_ask = False  # one that could not be sent
        self._owed = 0  # what the provider counts and was told not to be saved

    def start(self) -> None:
        """Say that the token is good, and enter the room."""
        self._is_here = True
        self._asked = 1
        self._tell_scope()
        self._room.join(self)

    def _tell_scope(self) -> None:
        self.say(authenticated(may_write=self.may_write and self._room.name.has_document))

    def say(self, message: bytes) -> None:
        """Send it, however far behind the client is: it has asked for it."""
        self._line.send_frame(Frame(self._prefix + message))

    def say_if_here(self, message: bytes) -> None:
        """Send it, unless the document was left."""
        if self._is_here:
            self.say(message)

    # What the client says

    def take(self, message: object, size_bytes: int) -> None:
        """Act on it, or keep it while the document is paused. Raises MalformedBytes."""
        if self._pauses or self._inbox:
            self._inbox.append(message)
            self.waiting_bytes += size_bytes
            self._line.inbox_changed()
        else:
            self._act_on(message)

    def _act_on_other(self, message: object) -> None:
        if isinstance(message, Stateless):
            self._pass_on(message)

    def _pass_on(self, message: Stateless) -> None:
        """For the other Hocuspocus clients of the room; it counts as often as it is sent."""
        if len(message.payload) > self._limits.max_awareness_bytes:
            limit = self._limits.max_awareness_bytes
            self.close(
                CloseCode.MESSAGE_TOO_BIG, f"a stateless message over {limit} bytes (max_awareness_bytes)"
            )
        elif self._grant.allows(Action.SHOW_PRESENCE) and self in self._room.members:
            frame = Frame(stateless_message(message.payload))
            others = [
                member
                for member in self._room.members
                if isinstance(member, HocuspocusDocument) and member is not self
            ]
            for member in others:
                member.deliver(frame)
            self._line.spend(len(others))

    def _answer_sync(self, question: SyncStep1) -> None:
        """The provider counts anew from here, and expects our question before our answer."""
        self._owed = 0
        if self._asked:
            self._asked = 0
        else:
            unanswered, self._questions = self._questions, 0
            self._asked = 1
            self._room.ask_for_missing(self)
            self._asked = 0
            self._questions += unanswered
        super()._answer_sync(question)

    def _receive_update(self, update: Update, receipt: Receipt | None = None) -> None:
        super()._receive_update(update, self._receipt_of(update))

    def _receipt_of(self, update: Update) -> Receipt:
        if update.is_reply and self._questions:
            self._questions -= 1
            if self._is_asked_extra:
                self._is_asked_extra = False
                owed, self._owed = self._owed, 0
                return partial(self._has_brought, owed)
        return self._is_settled

    def _is_settled(self, is_saved: bool) -> None:
        if self._is_here:
            self._owed += not is_saved
            self.say(sync_status(is_saved=is_saved))

    def _has_brought(self, owed: int, is_saved: bool) -> None:
        """All that was refused before has come in one reply, which the provider has not counted."""
        if not self._is_here:
            return
        if is_saved and owed:
            for _ in range(owed):
                self.say(sync_status(is_saved=True))
        else:
            self._owed += owed
            self.say(sync_status(is_saved=False))

    # Member

    def deliver(self, frame: Frame) -> bool:
        """Send one message of the room, in its own words, unless the client has left too much unread."""
        is_question = frame.begins_with(SYNC_STEP_1)
        if not self._is_here or self._line.is_lagging:
            self._has_all = self._witness is None
            self._must_ask = self._must_ask or is_question
            return False
        if frame.begins_with(_AUTH_OF_YJS):
            return True
        if is_question and not self._may_ask():
            return True
        self._line.send_frame(frame.behind(self._prefix))
        if not self._has_all and frame.begins_with(SYNC_STEP_2):
            self._catch_up()
        return True

    def _may_ask(self) -> bool:
        """What is asked already will be answered with all that there is by then."""
        if self._questions:
            return False
        self._questions = 1
        self._is_asked_extra = not self._asked
        return True

    def caught_up(self) -> None:
        """The client has read what it was sent."""
        if self._must_ask:
            self._must_ask = False
            self._room.ask_for_missing(self)
        self._room.caught_up(self)

    def close(self, code: CloseCode, reason: str) -> None:
        """Leave the room. What may pass ends the socket: from that the provider comes back, from this it does not."""
        if not self._is_here:
            return
        self._end()
        if code is CloseCode.TOKEN_EXPIRED:
            self.say(permission_denied(reason))
        elif code.client_should_reconnect:
            self._line.close(code, reason)
            return
        self.say(close_document(reason))

    def refuse(self, code: CloseCode, reason: str) -> None:
        """Say that the token is not good here any more, then close."""
        if self._is_here and not code.client_should_reconnect:
            self.say(permission_denied(reason))
        self.close(code, reason)

    def leave(self) -> None:
        """The client, or its socket, is gone."""
        if self._is_here:
            self._end()

    def _end(self) -> None:
        self._leave()
        self.waiting_bytes = 0
        self._on_gone(self)

    def answered(self, payload: bytes) -> None:
        """A ping came back."""
        if self._witness is not None and payload:
            self._witness.answered(self, payload)

    # Rights

    def set_role(self, role: Role) -> None:
        """The provider is told when it may write now, or may not any more."""
        could_write = self.may_write
        super().set_role(role)
        if self._is_here and self.may_write != could_write:
            self._tell_scope()

    # Of its protocol

    def warn(self, reason: str) -> None:
        """There are no words for it but the status."""

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life."""
        self._line.ping(payload)

    def _spend(self, messages: int, now: float) -> None:
        self._line.spend(messages)

    def _stop_reading(self) -> None:
        """What comes for it waits; the socket's other documents go on."""

    def _read_on(self) -> None:
        if not self._inbox:
            self.waiting_bytes = 0
        self._line.inbox_changed()
