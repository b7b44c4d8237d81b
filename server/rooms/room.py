"""A room: one document, the awareness of its members, and who is told what when.

A pycrdt-websocket `YRoom` whose unsafe parts are replaced (hazards Z5-Z11): nothing here waits for a member or for
the disk; an update is checked before the engine sees it; its author hears of it again once it is committed, every
other member at once. The base class' own `awareness` stays unused: it neither greets nor takes leave (Z9).
"""

import logging
from collections.abc import Callable, Iterable, Mapping
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
from server.protocol.update_shape import UpdateShape, check_state_vector, check_update
from server.protocol.yjs_messages import (
    permission_denied,
    sync_step_1,
    sync_step_2,
    update_message,
)
from server.rooms.after_commit import AfterCommit
from server.rooms.gate import judge
from server.rooms.held import HeldUpdates
from server.rooms.loading import LoadedDocument
from server.rooms.member import Member
from server.rooms.names import RoomName
from server.rooms.presence import Presence
from server.rooms.roster import Roster

logger = logging.getLogger(__name__)


_REBUILD_SHARE = 10
"""A member that makes the room rebuild its document waits this many times as long as that took."""


class RoomOwner(Protocol):
    """Who opened the room."""

    def emptied(self, room: "Room") -> None:
        """The last member has left."""

    def failed(self, room: "Room") -> None:
        """The room has sent its members away and must not be used again."""

    def rebuild(self, room: "Room", guard: SurrogateGuard | None) -> None:
        """Build the document anew from the log; ends in `room.rebuilt` or `room.fail`."""


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
        self.journal = commits.journal(name.canonical, self._committed, self.fail)
        self.is_rebuilding = False
        self._rebuild_cause: Member | None = None
        self._load(loaded)
        self._after_commit = AfterCommit()
        self._held = HeldUpdates(max_held_bytes)
        self._resync_asked: set[Member] = set()
        self._latest_answers: dict[Member, tuple[object, bytes]] = {}
        self._after_rebuild: list[Callable[[], None]] = []
        self._now_seconds = now_seconds
        self._owner = owner

    def _load(self, loaded: LoadedDocument) -> None:
        self.document = loaded.document
        self.ydoc = loaded.document.ydoc
        self._authors = loaded.authors
        self.relayable = loaded.relayable

    # Members

    def join(self, member: Member) -> None:
        """Greet a member: what we have, so that it sends what we lack, and who is here."""
        self.members.add(member)
        if self.is_rebuilding:
            member.pause()
        self._ask_for_missing(member)
        self.presence.tell(member)

    def leave(self, member: Member) -> None:
        """Take leave on the member's behalf, and keep nothing of it."""
        if not self.members.remove(member):
            return
        self._held.drop(member)
        self._resync_asked.discard(member)
        self._latest_answers.pop(member, None)
        self.presence.leave(member)
        if not len(self.members):
            self._owner.emptied(self)

    def caught_up(self, member: Member) -> None:
        """The member has read what it was sent: make up for what it missed meanwhile."""
        known_state = self.members.take_missed(member)
        if known_state is not None:
            self.answer_sync(member, write_state_vector(known_state))
            self.presence.tell(member)

    # Sync

    def answer_sync(self, member: Member, state_vector: bytes) -> None:
        """Send what a replica with this state vector lacks. Raises MalformedUpdate.

        It leaves once all of it is committed: clients take their own structs in it for saved.
        """
        state = check_state_vector(state_vector)
        try:
            answer = sync_step_2(self.document.encode_since(state_vector))
        except EngineFailure as error:
            self._rebuild(error)
            self._after_rebuild.append(partial(self.answer_sync, member, state_vector))
            return
        request = object()
        self._latest_answers[member] = request, answer  # one for each member, however often it asks
        self.when_committed(partial(self._send_answer, member, request, state))

    def _send_answer(self, member: Member, request: object, state: Mapping[int, int]) -> None:
        latest, answer = self._latest_answers.get(member, (None, b""))
        if latest is not request:
            return  # it asked again meanwhile: that answer is on its way
        del self._latest_answers[member]
        missing = {client: state.get(client, 0) for client in self.document.contents.state}
        self.members.send(member, answer, missing)

    def receive_update(self, member: Member, update: bytes, *, is_reply: bool) -> None:
        """Take in an edit, or a SyncStep2 (`is_reply`). Raises MalformedUpdate, ForeignClientId.

        The author hears of it again once it is committed; if something before it is missing, once that has come.
        """
        contents = self.document.contents
        verdict = judge(
            update,
            contents,
            self._authors,
            user_id=member.user_id,
            is_reply=is_reply,
            relayable=self.relayable,
        )
        if is_reply:
            self._resync_asked.discard(member)
        if verdict.refused:
            reason = f"client ids {verdict.refused} belong to other users"
            self.members.send(member, permission_denied(reason), {})
        if verdict.rest is not None:
            self._hold(member, verdict.rest, ask=not is_reply)
        if verdict.ready is not None and verdict.shape is not None:
            self._integrate(member, verdict.ready, verdict.shape, update_message(verdict.acknowledged))

    def would_change(self, update: bytes) -> bool:
        """Whether the update holds anything that the document has not. Raises MalformedUpdate."""
        return self.document.contents.adds(check_update(update))

    def _hold(self, member: Member, update: bytes, *, ask: bool) -> None:
        self._held.add(member, update)
        if ask and member not in self._resync_asked:
            self._resync_asked.add(member)
            self._ask_for_missing(member)

    def _ask_for_missing(self, member: Member) -> None:
        self.members.send(member, sync_step_1(write_state_vector(self.document.contents.state)), {})

    def _integrate(self, member: Member, update: bytes, shape: UpdateShape, echo: bytes) -> None:
        contents = self.document.contents
        starts = {client: first for client, (first, _) in shape.structs.items()}
        send_echo = partial(self.members.send, member, echo, starts)
        if not contents.adds(shape):
            if starts:  # known already, but the author may not know that it is
                self.when_committed(send_echo)
            return
        client_ids = [client for client in contents.new_clients(shape) if self._may_use(member, client)]
        self._show_as_own(member, client_ids)
        self.relayable.difference_update(client_ids)
        try:
            self.document.apply(update, shape)
        except MustRebuild as error:
            self._after_rebuild.append(partial(self._integrate, member, update, shape, echo))
            self._rebuild(error, error.guard, member)
            return
        except EngineFailure as error:
            logger.error("the engine failed on %d bytes of user %s: %s", len(update), member.user_id, error)
            member.close(CloseCode.MALFORMED, "the document engine refused this update")
            self._rebuild(error)
            return
        try:
            self.journal.append(
                update,
                author_id=member.user_id,
                client_ids=tuple(client_ids),
                received_at_ms=int(self._now_seconds() * 1000),
            )
        except LogUnavailable as error:
            self.fail(error)
            return
        self.members.send_others(member, update_message(update), starts)
        self.when_committed(send_echo)
        if self._held:
            self._retry_held(shape)

    def _retry_held(self, shape: UpdateShape) -> None:
        for held in self._held.take_waiting_for(shape.structs):
            self.receive_update(held.member, held.update, is_reply=True)

    # Who owns which client id

    def _may_use(self, member: Member, client_id: int) -> bool:
        return self._authors.get(client_id, member.user_id) == member.user_id

    def _show_as_own(self, member: Member, client_ids: Iterable[int]) -> None:
        """The member uses client ids. When it first does, the committed structs under them are sent back to it:

        the echo of the last ones may have been lost with the connection before, and only an echo says saved.
        """
        state = self.document.contents.state
        returning = []
        for client_id in client_ids:
            self._authors.setdefault(client_id, member.user_id)
            if self.members.is_first_showing(member, client_id) and state.get(client_id, 0) > 0:
                returning.append(client_id)
        if returning:
            try:
                message = update_message(self.document.encode_of_clients(returning))
            except EngineFailure as error:
                self._rebuild(error)
                return
            self.when_committed(partial(self.members.send, member, message, dict.fromkeys(returning, 0)))

    def receive_awareness(self, member: Member, data: bytes) -> None:
        """Take in awareness entries and tell the others what is news. Raises MalformedAwareness."""
        self.presence.receive(member, data, may_own=partial(self._may_use, member))
        own_id = self.presence.own_id(member)
        if own_id is not None:
            self._show_as_own(member, (own_id,))

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
        for member in self.members:
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
        for member in self.members:
            if not self.is_rebuilding:
                member.resume()

    def fail(self, error: Exception) -> None:
        """The document cannot go on: send everybody away, to come back with what was not saved."""
        logger.error("closing %s: %s", self.name, error)
        self._dismiss(CloseCode.INTERNAL_ERROR, "the document could not be saved")

    def dismiss(self) -> None:
        """Send everybody away; who comes back opens the room anew."""
        self._dismiss(CloseCode.SERVICE_RESTART, "the room was closed")

    def _dismiss(self, code: CloseCode, reason: str) -> None:
        self._owner.failed(self)
        for member in self.members:
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
