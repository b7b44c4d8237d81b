"""Answers to SyncStep1. Each leaves once it is committed: clients take their own structs in it for saved."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from server.engine.document import Document, EngineFailure, write_state_vector
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import sync_step_2
from server.rooms.member import Member
from server.rooms.roster import Roster

_COSTLY_SECONDS, _PAUSE_SHARE = 0.02, 4
"""A member whose answer took longer than this to encode is not read for so many times as long."""

_LARGE_BYTES, _SHARED_SECONDS = 64 * 1024, 5.0
"""The frame of an answer of this size is kept for so long, for who asks alike."""


@dataclass(slots=True, eq=False)
class _Answer:
    """A SyncStep2 for a replica at `state` (client id -> next clock), which brings each client's structs from
    `starts` on; outdated when its member has asked for more.
    """

    state: dict[int, int]
    starts: dict[int, int] = field(default_factory=dict)
    frame: Frame | None = None
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
        self._shared: tuple[bytes, Frame] | None = None

    def ask(self, member: Member, state: dict[int, int]) -> None:
        """Send what a replica at `state` lacks."""
        waiting = self._waiting.get(member)
        if waiting is None:
            answer = self._waiting[member] = _Answer(state)
            self._when_free(partial(self._prepare, member, answer))
        else:
            known = waiting.state
            waiting.state = {client: min(clock, known.get(client, 0)) for client, clock in state.items()}
            waiting.is_outdated = True

    def forget(self, member: Member) -> None:
        """The member has left."""
        self._waiting.pop(member, None)

    def _prepare(self, member: Member, answer: _Answer) -> None:
        if self._waiting.get(member) is not answer:  # it has left
            return
        began = time.perf_counter()
        document = self._document()
        try:
            update = document.encode_since(write_state_vector(answer.state))
        except EngineFailure as error:
            self._on_failure(error, partial(self._prepare, member, answer))
            return
        cost_seconds = time.perf_counter() - began
        if cost_seconds > _COSTLY_SECONDS:
            member.slow_down(cost_seconds * _PAUSE_SHARE)
        answer.starts = dict.fromkeys(document.contents.state, 0) | answer.state
        answer.frame = self._frame(update)
        answer.is_outdated = False
        self._when_committed(partial(self._send, member, answer))

    def _frame(self, update: bytes) -> Frame:
        """Those who come together get the same one."""
        if len(update) < _LARGE_BYTES:
            return Frame(sync_step_2(update))
        if self._shared is None or update is not self._shared[0]:
            self._shared = update, Frame(sync_step_2(update))
            asyncio.get_running_loop().call_later(_SHARED_SECONDS, self._share_no_more)
        return self._shared[1]

    def _share_no_more(self) -> None:
        self._shared = None

    def _send(self, member: Member, answer: _Answer) -> None:
        if self._waiting.get(member) is not answer or answer.frame is None:
            return
        if answer.is_outdated:
            answer.frame = None
            self._when_free(partial(self._prepare, member, answer))
        else:
            del self._waiting[member]
            self._members.send_to((member,), answer.frame, answer.starts)
