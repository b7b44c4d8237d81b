"""A room: one document, the awareness of its members, and who is told what when.

A pycrdt-websocket `YRoom` whose unsafe parts are replaced: nothing here waits for a member or for
the disk; an update is checked before the engine sees it; its author hears of it again once it is committed, every
other member at once. The base class' own `awareness` stays unused: it neither greets nor takes leave.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from pycrdt import Channel
from pycrdt.websocket import YRoom

from crdt_store.group_commit import GroupCommit
from crdt_store.update_log import LogUnavailable
from server.engine.document import EngineFailure, MustRebuild, write_state_vector
from server.protocol.closing import CloseCode
from server.protocol.surrogates import SurrogateGuard
from server.protocol.update_shape import MalformedUpdate, UpdateShape, check_state_vector, check_update
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import (
    permission_denied,
    sync_step_1,
    sync_step_2,
    update_message,
)
from server.rooms.after_commit import AfterCommit
from server.rooms.gate import StaleReplica, Verdict, judge
from server.rooms.held import HeldUpdates
from server.rooms.loading import LoadedDocument
from server.rooms.member import Member
from server.rooms.names import RoomName
from server.rooms.presence import Presence
from server.rooms.roster import Roster
from server.rooms.threshold import Threshold

logger = logging.getLogger(__name__)

_CLOSED = "the room was closed"
_COSTLY_SECONDS, _ANSWER_SHARE = 0.02, 4
"""A member whose answer took longer than this to encode is not read for so many times as long."""

_REBUILD_SHARE = 10
"""A member that makes the room rebuild its document waits this many times as long as that took."""


class UpdateIncomplete(Exception):
    """An update builds on something that is not in the document."""


class RoomBusy(Exception):
    """The document is being built anew, or replaced: try again in a moment."""


class RoomOwner(Protocol):
    """Who opened the room."""

    def emptied(self, room: "Room") -> None:
        """The last member has left."""

    def failed(self, room: "Room") -> None:
        """The room has sent its members away and must not be used again."""

    def keep_stale(self, room: "Room", member: Member, update: bytes) -> None:
        """Keep what a member of an earlier epoch brings, then send the member away."""

    def rebuild(self, room: "Room", guard: SurrogateGuard | None) -> None:
        """Build the document anew from the log; ends in `room.rebuilt` or `room.fail`."""


@dataclass(slots=True, eq=False)
class _Answer:
    """A SyncStep2 for a replica at `state` (client id -> next clock); `message` is outdated when it asks for more."""

    state: Mapping[int, int]
    message: bytes
    is_outdated: bool = False


class Room(YRoom):
    """Every method but `start` and `stop` is synchronous: a message is dealt with whole before the next one."""

    def __init__(
        self,
        name: RoomName,
        loaded: LoadedDocument,
        commits: GroupCommit,
        owner: RoomOwner,
        *,
        max_held_bytes: int,
        now_seconds: Callable[[], float],
    ) -> None:
        super().__init__(ydoc=loaded.document.ydoc)
        self.name = name
        self.members = Roster(lambda: self.document.contents.state)
        self.presence = Presence(self.members, now_seconds)
        self.epoch = loaded.epoch
        self.journal = commits.journal(name.canonical, self._committed, self.fail, epoch=loaded.epoch)
        self.is_rebuilding = False
        self._rebuild_cause: Member | None = None
        self._authors: dict[int, int] = {}
        self._threshold = Threshold(max_held_bytes)
        self._is_over = False
        self._load(loaded)
        self._after_commit = AfterCommit()
        self._held = HeldUpdates(max_held_bytes)
        self._resync_asked: set[Member] = set()
        self._waiting_answers: dict[Member, _Answer] = {}
        self._after_rebuild: list[Callable[[], None]] = []
        self._now_seconds = now_seconds
        self._owner = owner

    def _load(self, loaded: LoadedDocument) -> None:
        self.document = loaded.document
        self.ydoc = loaded.document.ydoc
        self._authors = loaded.authors | self._authors
        self.relayable = loaded.relayable
        self._stale_ids = loaded.stale_ids

    # Members

    def join(self, member: Member) -> None:
        """Greet a member: what we have, so that it sends what we lack, and who is here.

        Where there has been an earlier epoch, it is sent nothing of the document before it has shown what it has.
        """
        if self._is_over:
            member.close(CloseCode.SERVICE_RESTART, _CLOSED)
            return
        if self.is_rebuilding:
            member.pause()
        if self._stale_ids:
            self._threshold.add(member)
            member.deliver(Frame(self._question()))
        else:
            self.members.add(member)
            self._ask_for_missing(member)
            self.presence.tell(member)

    def _admit(self, member: Member) -> None:
        """A member whose replica belongs to this epoch."""
        if member in self._threshold:
            awareness = self._threshold.admit(member)
            self.members.add(member)
            self.presence.tell(member)
            if awareness:
                self.receive_awareness(member, awareness)

    def _turn_away(self, member: Member) -> None:
        """A member whose replica is of an earlier epoch: it is sent nothing more, and asked for what it has."""
        if self.members.remove(member):
            self._forget(member)
            member.deliver(Frame(self._question()))
        self._threshold.mark_stale(member)

    def _keep_aside(self, member: Member, answer: bytes | None) -> None:
        """Keep what a stale member has brought, then send it away."""
        update = self._threshold.take_leave(member, answer)
        if update is not None:
            self._owner.keep_stale(self, member, update)
        else:
            member.close(CloseCode.HISTORY_CHANGED, f"{StaleReplica()}; nothing of yours was kept")

    def give_up_stale(self, member: Member) -> None:
        """The member has been silent for long: if it still owes what it has of an earlier epoch, it goes."""
        if self._threshold.is_stale(member) and not self._threshold.is_leaving(member):
            self._keep_aside(member, None)

    def leave(self, member: Member) -> None:
        """Take leave on the member's behalf, and keep nothing of it."""
        if not (self._threshold.remove(member) or self.members.remove(member)):
            return
        self._forget(member)
        if self.is_empty:
            self._owner.emptied(self)

    def _forget(self, member: Member) -> None:
        self._held.drop(member)
        self._resync_asked.discard(member)
        self._waiting_answers.pop(member, None)
        self.presence.leave(member)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here."""
        return not (len(self.members) or len(self._threshold))

    def _everybody(self) -> tuple[Member, ...]:
        return (*self.members, *self._threshold.members())

    def caught_up(self, member: Member) -> None:
        """The member has read what it was sent: make up for what it missed meanwhile."""
        known_state = self.members.take_missed(member)
        if known_state is not None:
            self.answer_sync(member, write_state_vector(known_state))
            self.presence.tell(member)

    # Sync

    def answer_sync(self, member: Member, state_vector: bytes) -> None:
        """Send what a replica with this state vector lacks. Raises MalformedUpdate, StaleReplica.

        It leaves once all of it is committed: clients take their own structs in it for saved. One answer waits for
        each member, however often it asks; one that holds what all of these questions asked for follows.
        """
        state = check_state_vector(state_vector)
        if not self._stale_ids.isdisjoint(state):
            self._turn_away(member)
            raise StaleReplica
        if self._threshold.is_leaving(member):
            return
        self._admit(member)
        waiting = self._waiting_answers.get(member)
        if waiting is not None:
            known = waiting.state
            waiting.state = {client: min(clock, known.get(client, 0)) for client, clock in state.items()}
            waiting.is_outdated = True
        else:
            self._prepare_answer(member, state)

    def _prepare_answer(self, member: Member, state: Mapping[int, int]) -> None:
        began = time.perf_counter()
        try:
            answer = _Answer(state, sync_step_2(self.document.encode_since(write_state_vector(state))))
        except EngineFailure as error:
            self._rebuild(error)
            self._after_rebuild.append(partial(self._prepare_answer, member, state))
            return
        cost_seconds = time.perf_counter() - began
        if cost_seconds > _COSTLY_SECONDS:
            member.slow_down(cost_seconds * _ANSWER_SHARE)
        self._waiting_answers[member] = answer
        self.when_committed(partial(self._send_answer, member, answer))

    def _send_answer(self, member: Member, answer: "_Answer") -> None:
        if self._waiting_answers.get(member) is answer:  # else it has left
            del self._waiting_answers[member]
            if answer.is_outdated:
                self._prepare_answer(member, answer.state)
                return
            starts = {client: answer.state.get(client, 0) for client in self.document.contents.state}
            self.members.send(member, answer.message, starts)
            answer.message = b""

    def receive_update(self, member: Member, update: bytes, *, is_reply: bool) -> None:
        """Take in an edit, or a SyncStep2 (`is_reply`). Raises MalformedUpdate, ForeignClientId.

        The author hears of it again once it is committed; if something before it is missing, once that has come.
        What belongs to an earlier epoch is kept aside, and its author sent away once it has answered with all of it.
        """
        if self._threshold.is_leaving(member):
            return
        try:
            verdict = judge(
                update,
                self.document.contents,
                self._owner_of,
                user_id=member.user_id,
                is_reply=is_reply,
                relayable=self.relayable,
                stale=self._stale_ids,
            )
            if self._threshold.is_stale(member):
                raise StaleReplica
        except StaleReplica:
            self._turn_away(member)
            if is_reply:
                self._keep_aside(member, update)
            else:
                self._threshold.hold(member, update)
            return
        self._admit(member)
        if is_reply:
            self._resync_asked.discard(member)
        if verdict.refused:
            reason = f"client ids {verdict.refused} belong to other users"
            self.members.send(member, permission_denied(reason), {})
        if verdict.rest is not None:
            self._hold(member, verdict.rest, ask=not is_reply)
        if verdict.ready is not None and verdict.shape is not None:
            self._integrate(member, verdict, is_reply=is_reply)
            if self._held:
                self._retry_held(verdict.shape)

    def merge(self, author: Member, update: bytes) -> None:
        """Take in an update that was kept aside, as what its author would have written in this epoch.

        Raises MalformedUpdate, UpdateIncomplete, RoomBusy; it is stored once the journal says so.
        """
        if self.is_rebuilding or self._is_over:
            raise RoomBusy
        verdict = judge(update, self.document.contents, lambda _: None, user_id=author.user_id, is_reply=True)
        if verdict.rest is not None:
            raise UpdateIncomplete
        if verdict.ready is not None:
            self._integrate(author, verdict, is_reply=True)
            self._stale_ids -= self.document.contents.state.keys()

    def would_change(self, update: bytes) -> bool:
        """Whether the update holds anything that the document has not. Raises MalformedUpdate."""
        return self.document.contents.adds(check_update(update))

    def _hold(self, member: Member, update: bytes, *, ask: bool) -> None:
        self._held.add(member, update)
        if ask and member not in self._resync_asked:
            self._resync_asked.add(member)
            self._ask_for_missing(member)

    def _ask_for_missing(self, member: Member) -> None:
        self.members.send(member, self._question(), {})

    def _question(self) -> bytes:
        return sync_step_1(write_state_vector(self.document.contents.state))

    def _integrate(self, member: Member, verdict: Verdict, *, is_reply: bool) -> None:
        """Apply, store and pass on what the verdict says is ready. Raises MalformedUpdate if it is out of place."""
        assert verdict.ready is not None
        assert verdict.shape is not None
        contents, update, shape = self.document.contents, verdict.ready, verdict.shape
        starts = {client: first for client, (first, _) in shape.structs.items()}
        echo = partial(self.members.send, member, update_message(verdict.acknowledged), starts)
        if not contents.adds(shape):
            if starts:  # known already, but the author may not know that it is
                self.when_committed(echo)
            return
        new_clients = contents.new_clients(shape)
        state_before = {client: contents.state.get(client, 0) for client in new_clients}
        try:
            self.document.apply(update, shape)
        except MustRebuild as error:
            self._after_rebuild.append(partial(self._integrate_later, member, verdict, is_reply))
            self._rebuild(error, error.guard, member)
            return
        except EngineFailure as error:
            logger.error("the engine failed on %d bytes of user %s: %s", len(update), member.user_id, error)
            member.close(CloseCode.MALFORMED, "the document engine refused this update")
            self._rebuild(error)
            return
        own_ids = [client for client in new_clients if self._is_own(member, client, is_reply)]
        self._bind(member, own_ids)
        try:
            self.journal.append(
                update,
                author_id=member.user_id,
                client_ids=tuple(own_ids),
                received_at_ms=int(self._now_seconds() * 1000),
            )
        except LogUnavailable as error:
            self.fail(error)
            return
        self._return_structs(member, own_ids, state_before)
        message = update_message(update)
        for concerned in self.members.send_others(member, message, starts):
            self.when_committed(partial(self.members.send, concerned, message, starts))
        self.when_committed(echo)

    def _integrate_later(self, member: Member, verdict: Verdict, is_reply: bool) -> None:
        """What is wrong with an update that had to wait is its author's fault, whoever made it possible."""
        try:
            self._integrate(member, verdict, is_reply=is_reply)
        except MalformedUpdate as error:
            member.close(CloseCode.MALFORMED, str(error))

    def _retry_held(self, shape: UpdateShape) -> None:
        """Take in what waited for structs of these clients, and what waited for that in turn."""
        possible = deque(self._held.take_waiting_for(shape.structs))
        while possible:
            held = possible.popleft()
            if self.is_rebuilding:
                self._held.add(held.member, held.update)
                continue
            verdict = judge(
                held.update,
                self.document.contents,
                self._owner_of,
                user_id=held.member.user_id,
                is_reply=True,
            )
            if verdict.rest is not None:
                self._held.add(held.member, verdict.rest)
            if verdict.shape is not None:
                self._integrate_later(held.member, verdict, is_reply=False)
                possible += self._held.take_waiting_for(verdict.shape.structs)

    # Who owns which client id

    def _owner_of(self, client_id: int) -> int | None:
        """The user whose edits bound it, or who is present under it."""
        return self._authors.get(client_id) or self.presence.user_of(client_id)

    def _may_use(self, member: Member, client_id: int) -> bool:
        return self._authors.get(client_id, member.user_id) == member.user_id

    def _is_own(self, member: Member, client_id: int, is_reply: bool) -> bool:
        """Whether the member uses the id itself; a reply may bring what it heard from another tab or peer."""
        return self._may_use(member, client_id) and (
            not is_reply or client_id in self._authors or self.presence.own_id(member) == client_id
        )

    def _bind(self, member: Member, client_ids: Iterable[int]) -> None:
        for client_id in client_ids:
            self._authors.setdefault(client_id, member.user_id)
            self.relayable.discard(client_id)

    def _return_structs(self, member: Member, client_ids: Iterable[int], state: Mapping[int, int]) -> None:
        """Send the member the structs that were there, at `state`, under ids that it first shows as its own.

        The echo of the last ones may have been lost with the connection before, and only an echo says saved.
        """
        returning = [
            client_id
            for client_id in client_ids
            if self.members.is_first_showing(member, client_id) and state.get(client_id, 0) > 0
        ]
        if returning:
            try:
                message = update_message(self.document.encode_of_clients(returning))
            except EngineFailure as error:
                self._rebuild(error)
                return
            self.when_committed(partial(self.members.send, member, message, dict.fromkeys(returning, 0)))

    def receive_awareness(self, member: Member, data: bytes) -> None:
        """Take in awareness entries and tell the others what is news. Raises MalformedAwareness."""
        if member in self._threshold:
            self._threshold.show(member, data)
            return
        self.presence.receive(member, data, may_own=partial(self._may_use, member))
        own_id = self.presence.own_id(member)
        if own_id is not None:
            self._return_structs(member, (own_id,), self.document.contents.state)

    # Commit and failure

    def when_committed(self, action: Callable[[], None]) -> None:
        """Act once all that is in the document now is committed; at once, if it is."""
        if self.journal.committed >= self.journal.submitted:
            action()
        else:
            self._after_commit.add(self.journal.submitted, action)

    def _committed(self, position: int) -> None:
        self._after_commit.run_through(position)

    def _rebuild(
        self, reason: Exception, guard: SurrogateGuard | None = None, cause: Member | None = None
    ) -> None:
        """Stop the room until its document is built anew; members wait, and nothing is lost."""
        if self.is_rebuilding:
            return
        logger.warning("rebuilding %s: %s", self.name, reason)
        self.is_rebuilding = True
        self._rebuild_cause = cause
        for member in self._everybody():
            member.pause()
        self._owner.rebuild(self, guard)

    def rebuilt(self, loaded: LoadedDocument, *, cost_seconds: float) -> None:
        """Go on where the room stopped; who made it stop waits longer, so that the others have most of the time."""
        self._load(loaded)
        self.is_rebuilding = False
        if self._rebuild_cause is not None:
            self._rebuild_cause.slow_down(cost_seconds * _REBUILD_SHARE)
        waiting, self._after_rebuild = self._after_rebuild, []
        while waiting and not self.is_rebuilding:
            waiting.pop(0)()
        self._after_rebuild += waiting
        for member in self._everybody():
            if not self.is_rebuilding:
                member.resume()

    def fail(self, error: Exception) -> None:
        """The document cannot go on: send everybody away, to come back with what was not saved."""
        logger.error("closing %s: %s", self.name, error)
        self._dismiss(CloseCode.INTERNAL_ERROR, "the document could not be saved")

    def dismiss(self) -> None:
        """Send everybody away; who comes back opens the room anew."""
        self._dismiss(CloseCode.SERVICE_RESTART, _CLOSED)

    def _dismiss(self, code: CloseCode, reason: str) -> None:
        self._is_over = True
        self._owner.failed(self)
        for member in self._everybody():
            member.close(code, reason)

    # YRoom

    async def start(
        self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED, from_context_manager: bool = False
    ) -> None:
        """A room is ready once it is made; it has no task of its own."""
        self.started.set()
        task_status.started()

    async def stop(self) -> None:
        """Nothing to stop: the journal is the store's, the members are the connections'."""

    async def serve(self, channel: Channel) -> None:
        """Refused: a bare channel brings no identity, so nobody could say what it may do."""
        raise TypeError("rooms are entered by a transport.Connection, which knows whose it is")
