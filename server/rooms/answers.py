"""Answers to SyncStep1. Each leaves once it is committed: clients take their own structs in it for saved."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from server.engine.document import Document, EngineFailure, write_state_vector
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import sync_step_2
from server.rooms.member import Member
from server.rooms.roster import Roster

_COSTLY_SECONDS, _PAUSE_SHARE = 0.02, 4
"""A member whose answer took longer than this to encode is not read for so many times as long."""


@dataclass(slots=True, eq=False)
class _Answer:
    """A SyncStep2 for a replica at `state` (client id -> next clock), which brings each client's structs from
    `starts` on; outdated when its member has asked for more.
    """

    state: dict[int, int]
    starts: dict[int, int]
    frame: Frame
    is_outdated: bool = False


class Answers:
    """One answer waits for each member, however often it asks; what holds all these questions asked for follows.

    `when_free` acts once the document may be read. `on_failure` is called when the engine fails to encode, with what
    to do when the document is built anew.
    """

    def __init__(
        self,
        members: Roster,
        document: Callable[[], Document],
        when_free: Callable[[Callable[[], None]], None],
        when_committed: Callable[[Callable[[], None]], None],
        on_failure: Callable[[EngineFailure, Callable[[], None]], None],
    ) -> None:
        self._members = members
        self._document = document
        self._when_free = when_free
        self._when_committed = when_committed
        self._on_failure = on_failure
        self._waiting: dict[Member, _Answer] = {}
        self._last = Frame(sync_step_2(b""))
        self._last_update = b""

    def ask(self, member: Member, state: dict[int, int]) -> None:
        """Send what a replica at `state` lacks."""
        waiting = self._waiting.get(member)
        if waiting is None:
            self._when_free(partial(self._prepare, member, state))
        else:
            known = waiting.state
            waiting.state = {client: min(clock, known.get(client, 0)) for client, clock in state.items()}
            waiting.is_outdated = True

    def forget(self, member: Member) -> None:
        """The member has left."""
        self._waiting.pop(member, None)

    def _prepare(self, member: Member, state: dict[int, int]) -> None:
        began = time.perf_counter()
        document = self._document()
        try:
            update = document.encode_since(write_state_vector(state))
        except EngineFailure as error:
            self._on_failure(error, partial(self._prepare, member, state))
            return
        cost_seconds = time.perf_counter() - began
        if cost_seconds > _COSTLY_SECONDS:
            member.slow_down(cost_seconds * _PAUSE_SHARE)
        starts = dict.fromkeys(document.contents.state, 0) | state
        answer = self._waiting[member] = _Answer(state, starts, self._frame(update))
        self._when_committed(partial(self._send, member, answer))

    def _frame(self, update: bytes) -> Frame:
        """Those who come together get the same one."""
        if update is not self._last_update:
            self._last, self._last_update = Frame(sync_step_2(update)), update
        return self._last

    def _send(self, member: Member, answer: _Answer) -> None:
        if self._waiting.get(member) is not answer:  # it has left
            return
        del self._waiting[member]
        if answer.is_outdated:
            self._when_free(partial(self._prepare, member, answer.state))
        else:
            self._members.send_to((member,), answer.frame, answer.starts)
