"""A room: one document, the awareness of its members, and who is told what when.

A pycrdt-websocket `YRoom` whose unsafe parts are replaced: nothing here waits for a member or for
the disk; an update is checked before the engine sees it; its author hears of it again once it is committed, every
other member at once.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from pycrdt import Channel
from pycrdt.websocket import YRoom

from crdt_store.effects import Effect
from crdt_store.group_commit import GroupCommit
from server.engine.document import Document, EngineFailure, MustRebuild, write_state_vector
from server.protocol.closing import CloseCode
from server.protocol.structs import Id
from server.protocol.surrogates import SurrogateGuard
from server.protocol.update_shape import (
    MalformedUpdate,
    TooManyStructs,
    UpdateShape,
    check_state_vector,
    check_update,
)
from server.protocol.varint import MalformedBytes
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import permission_denied, sync_step_1
from server.rooms.after_commit import AfterCommit
from server.rooms.answers import Answers
from server.rooms.broadcast import Broadcast
from server.rooms.client_ids import ClientIds
from server.rooms.echoes import Echoes
from server.rooms.gate import ForeignClientId, StaleReplica, Verdict, judge
from server.rooms.held import HeldUpdates, Retries
from server.rooms.holding import NO_LOCKS, Holding, to_be_held
from server.rooms.intake import Intake, apply, integrate, take_in
from server.rooms.limits import RoomLimits
from server.rooms.loading import LoadedDocument
from server.rooms.member import Member
from server.rooms.names import RoomName
from server.rooms.presence import Presence
from server.rooms.publication import Publication
from server.rooms.receipts import Receipt, Receipts
from server.rooms.roster import Roster
from server.rooms.rules import Law, Ruling, Written
from server.rooms.runs import BudgetExceeded, Run
from server.rooms.standstill import Standstill
from server.rooms.threshold import Threshold
from server.rooms.unseen import Known, OnReturn, Unseen, no_effects

T = TypeVar("T")
EffectsOf = Callable[[bytes], Sequence[Effect]]
"""An update, as it was taken in -> what is to be stored with it."""

logger = logging.getLogger(__name__)

_CLOSED = "the room was closed"

_LARGE_BYTES = 8 * 1024
"""An update larger than this is taken in by another thread: 600 structs of one character take some 40 ms."""

_COSTLY_SECONDS = 0.05
"""A member whose update took longer than this is not read for as long again."""

_REBUILD_SHARE = 10
"""A member that makes the room rebuild its document waits this many times as long as that took."""


class UpdateIncomplete(Exception):
    """An update builds on something that is not in the document."""


class RoomBusy(Exception):
    """The document is being built anew, or replaced: try again in a moment."""


_REFUSALS = (MalformedBytes, TooManyStructs, ForeignClientId, StaleReplica, UpdateIncomplete)


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

    def in_thread(self, job: Callable[[], T], size_bytes: int) -> asyncio.Future[T]:
        """Do this, with input of that size, in another thread."""


class Room(YRoom):
    """A message is dealt with whole before the next one; if that may take long, the room stands still meanwhile."""

    def __init__(
        self,
        name: RoomName,
        loaded: LoadedDocument,
        commits: GroupCommit,
        owner: RoomOwner,
        *,
        limits: RoomLimits,
        is_full: Callable[[], bool],
        now_seconds: Callable[[], float],
        holding: Holding = NO_LOCKS,
        on_return: OnReturn = no_effects,
    ) -> None:
        # The base class' own parts are not made: they would cost 8 KB a room.
        self.ydoc = loaded.document.ydoc
        self.name = name
        self.epoch = loaded.epoch
        self.document = loaded.document
        self.members = Roster(lambda: self.document.contents.state)
        self.presence = Presence(self.members, now_seconds)
        self.journal = commits.journal(name.canonical, self._committed, self.fail, epoch=loaded.epoch)
        self.rules = loaded.rules
        self._server_id = secrets.randbits(
            32
        )  # a new one each time: what was written under the last may be lost
        self._ids = ClientIds(
            self.presence, loaded.authors, loaded.relayable, is_recovering=loaded.is_recovering
        )
        self._stale_ids = loaded.stale_ids
        self._arriving: set[Member] = set()
        self._endings: dict[Callable[[], None], None] = {}
        self._threshold = Threshold(limits.max_held_bytes)
        self._standstill = Standstill(self.everybody)
        self._is_over = self._is_rebuilding = False
        self._rebuild_cause: Member | None = None
        self._after_commit = AfterCommit()
        self._answers = Answers(
            self.members,
            lambda: self.document,
            self._standstill.afterwards,
            self.when_committed,
            self._rebuild,
        )
        self._echoes = Echoes(
            self.members,
            lambda: self.document,
            self.when_committed,
            partial(self._rebuild, afterwards=_nothing),
        )
        self._publication = Publication(
            self.journal,
            Broadcast(self.members, self.when_committed, max_window_seconds=limits.max_window_seconds),
            self._echoes,
            self._ids,
            now_seconds,
            self.fail,
            _at_once if self.rules is None else self.when_committed,
        )
        self._receipts = Receipts(lambda: self.document.contents, self.when_committed)
        self._held = HeldUpdates(limits.max_held_bytes)
        self._retries = Retries(
            self._held, self._standstill, partial(self._take_in, is_reply=False, was_held=True)
        )
        self._resync_asked: set[Member] = set()
        self._unseen = Unseen(lambda: self.document.contents.state)
        self._on_return = on_return
        self._owner = owner
        self._holding = holding
        self._limits = limits
        self._is_full = is_full
        self.denials = 0  # how often somebody was told that they may not

    # Members

    def join(self, member: Member) -> None:
        """Greet a member: what we have, so that it sends what we lack, and who is here.

        Where there has been an earlier epoch, it is sent nothing of the document before it has shown what it has.
        """
        if self._is_over:
            member.close(CloseCode.SERVICE_RESTART, _CLOSED)
            return
        self._unseen.came(member)
        if self._standstill.is_on:
            member.pause()
            self._arriving.add(member)
            self._standstill.afterwards(partial(self._arrive, member))
        elif self._stale_ids:
            self._threshold.add(member)
            self._ask_stranger(member)
        else:
            self.members.add(member)
            self._ask(member)
            self.presence.tell(member)

    def _arrive(self, member: Member) -> None:
        """It came while the room stood still, and may have left."""
        if member in self._arriving:
            self._arriving.discard(member)
            self.join(member)

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
            self._ask_stranger(member)
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
        self._unseen.forget(member)
        if member in self._arriving:
            self._arriving.discard(member)
        elif not (self._threshold.remove(member) or self.members.remove(member)):
            return
        self._forget(member)
        if self.is_empty:
            self._owner.emptied(self)

    def _forget(self, member: Member) -> None:
        self._held.drop(member)
        self._resync_asked.discard(member)
        self._answers.forget(member)
        self._receipts.drop(member)
        self.presence.leave(member)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, and nothing is being worked on."""
        return not (
            len(self.members) or len(self._threshold) or self._standstill.is_on
        )  # it is while some arrive

    @property
    def has_replicas(self) -> bool:
        """Whether somebody here holds the document."""
        return any(member.has_replica for member in (*self.members, *self._threshold.members()))

    @property
    def authors(self) -> Mapping[int, int]:
        """Client id -> the user it is bound to."""
        return self._ids.authors

    @property
    def is_over(self) -> bool:
        """Whether it must not be used again."""
        return self._is_over

    @property
    def is_busy(self) -> bool:
        """Whether the document must not be touched now."""
        return self._standstill.is_on or self._is_over

    @property
    def full_reason(self) -> str | None:
        """Why nothing more may be added to the document, if so."""
        limit = self._limits.max_document_bytes
        return f"the document has grown to {limit} bytes (max_document_bytes)" if self._is_full() else None

    @property
    def relayable(self) -> set[int]:
        """Client ids whose edits others may bring (see gate)."""
        return self._ids.relayable

    def everybody(self) -> tuple[Member, ...]:
        """Who is here, at the threshold, or waits until the room goes on."""
        return (*self.members, *self._threshold.members(), *self._arriving)

    def caught_up(self, member: Member) -> None:
        """The member has read what it was sent: make up for what it missed meanwhile."""
        known_state = self.members.take_missed(member)
        if known_state is not None:
            self._answers.ask(member, known_state)
            self.presence.tell(member)

    # Sync

    def answer_sync(self, member: Member, state_vector: bytes) -> None:
        """Send what a replica with this state vector lacks. Raises MalformedUpdate, StaleReplica."""
        state = check_state_vector(state_vector)
        if not self._stale_ids.isdisjoint(state):
            self._turn_away(member)
            raise StaleReplica
        if not self._threshold.is_leaving(member):
            self._unseen.declared(member, state)
            self._admit(member)
            self._answers.ask(member, state)

    def receive_update(
        self, member: Member, update: bytes, *, is_reply: bool, receipt: Receipt | None = None
    ) -> None:
        """Take in an edit, or a SyncStep2 (`is_reply`); if it may not be, the member is told to `fail`.

        The author hears of it again once it is committed; if something before it is missing, once that has come.
        What belongs to an earlier epoch is kept aside, and its author sent away once it has answered with all of it.
        """
        if not self._threshold.is_leaving(member):
            self._take_in(member, update, is_reply=is_reply, receipt=receipt)

    def _take_in(
        self,
        member: Member,
        update: bytes,
        *,
        is_reply: bool,
        was_held: bool = False,
        receipt: Receipt | None = None,
    ) -> None:
        if self._is_over:
            return
        if self._standstill.is_on:
            again = partial(
                self._take_in, member, update, is_reply=is_reply, was_held=was_held, receipt=receipt
            )
            self._standstill.afterwards(again)
            return
        if not member.may_write:  # any more: it had to wait, or came before the change
            member.deny("you may not write here any more")
            if receipt is not None:
                receipt(False)
            return
        if member.run is not None and (refusal := member.run.refusal(self.name.canonical, len(update))):
            member.deny(refusal)
            return
        if self._holding.blocks(self.name, member.user_id):
            self._set_aside(member, update, receipt, is_reply=is_reply)
            return
        job = partial(
            take_in,
            self.document,
            update,
            self._ids.owner_of,
            user_id=member.user_id,
            is_reply=is_reply or was_held,
            relayable=() if was_held else self._ids.relayable,
            stale=frozenset() if was_held else self._stale_ids,
            is_stale=self._threshold.is_stale(member),
            max_structs=self._limits.max_update_structs,
            law=self._law(member),
        )
        conclude = partial(self._conclude, member, update, is_reply, was_held, receipt)
        if len(update) > _LARGE_BYTES:
            self._work_in_thread(member, job, lambda future: conclude(future.result), size_bytes=len(update))
        else:
            conclude(job)

    def _set_aside(self, member: Member, update: bytes, receipt: Receipt | None, *, is_reply: bool) -> None:
        """Somebody else has locked the document: what of the update it lacks waits for the lock's end."""
        job = partial(
            judge,
            update,
            self.document.contents,
            self._ids.owner_of,
            user_id=member.user_id,
            is_reply=is_reply,
            relayable=self._ids.relayable,
            stale=self._stale_ids,
            max_structs=self._limits.max_update_structs,
        )
        conclude = partial(self._hold_back, member, update, is_reply, receipt)
        if len(update) > _LARGE_BYTES:
            self._work_in_thread(member, job, lambda future: conclude(future.result), size_bytes=len(update))
        else:
            conclude(job)

    def _hold_back(
        self,
        member: Member,
        update: bytes,
        is_reply: bool,
        receipt: Receipt | None,
        result: Callable[[], Verdict],
    ) -> None:
        try:
            verdict = result()
            if self._threshold.is_stale(member):
                raise StaleReplica
        except StaleReplica:
            self._receive_stale(member, update, is_reply=is_reply)
        except (MalformedBytes, TooManyStructs, ForeignClientId) as error:
            member.fail(error)
        else:
            self._admit(member)
            is_known = verdict.rest is None and (
                verdict.shape is None or not self.document.contents.adds(verdict.shape)
            )
            held = None if is_known else to_be_held(verdict)
            known = self._unseen.answered(member) if is_reply else None
            if held is not None:
                lacked = None if known is None else self._unseen.lacked(known)
                self._holding.keep(self, member, held, lacked)
                if member.run is not None:
                    member.run.count(self.name.canonical, len(held))
            elif verdict.shape is not None and verdict.shape.structs:
                self._echoes.acknowledge(member, verdict)
            if receipt is not None:
                self._expect(member, verdict, receipt, is_refused=False)
                self._receipts.settle(member)

    def _work_in_thread(
        self,
        member: Member,
        job: Callable[[], T],
        conclude: Callable[[asyncio.Future[T]], None],
        *,
        size_bytes: int,
    ) -> asyncio.Future[T]:
        """Stand still while another thread works on the document; whoever causes that waits as long again."""
        cost_seconds = 0.0

        def timed() -> T:
            nonlocal cost_seconds
            began = time.monotonic()
            try:
                return job()
            finally:
                cost_seconds = time.monotonic() - began

        def go_on(future: asyncio.Future[T]) -> None:
            if cost_seconds > _COSTLY_SECONDS:
                member.slow_down(cost_seconds)
            if future.cancelled():  # the server is stopping
                return
            error = future.exception()
            if error is not None and not isinstance(error, _REFUSALS):
                self.fail(error)  # the document may be half changed
            self._go_on(partial(conclude, future))

        self._standstill.begin()
        future = self._owner.in_thread(timed, size_bytes)
        future.add_done_callback(go_on)
        return future

    def _go_on(self, first: Callable[[], None]) -> None:
        self._standstill.end(_nothing if self._is_over else first)
        if self._is_over:
            self.release()
        elif self.is_empty:
            self._owner.emptied(self)

    def _conclude(
        self,
        member: Member,
        update: bytes,
        is_reply: bool,
        was_held: bool,
        receipt: Receipt | None,
        result: Callable[[], Intake],
    ) -> None:
        try:
            intake = result()
        except StaleReplica:
            self._receive_stale(member, update, is_reply=is_reply)
        except (MalformedBytes, TooManyStructs, ForeignClientId) as error:
            member.fail(error)
        else:
            if not was_held:
                self._admit(member)
                self._note(member, intake.verdict, is_reply=is_reply)
            elif intake.verdict.rest is not None:
                self._hold(member, intake.verdict.rest)
            known = self._unseen.answered(member) if is_reply else None
            effects_of = None if known is None else partial(self._effects_of_return, member.user_id, known)
            if receipt is not None:
                is_refused = intake.ruling is not None and bool(intake.ruling.refusals)
                self._expect(member, intake.verdict, receipt, is_refused=is_refused)
            self._complete(member, intake, is_reply=is_reply, effects_of=effects_of)
            if self._held and intake.verdict.shape is not None:
                self._retries.try_those_of(intake.verdict.shape.structs)

    def _effects_of_return(self, user_id: int, known: Known, update: bytes) -> Sequence[Effect]:
        return self._on_return(self.name, self.epoch, user_id, update, self._unseen.lacked(known))

    def _expect(self, member: Member, verdict: Verdict, receipt: Receipt, *, is_refused: bool) -> None:
        if is_refused or verdict.refused:
            receipt(False)
        elif member in self.members:
            self._receipts.expect(member, verdict, receipt)

    def _law(self, member: Member) -> Law | None:
        if self.rules is None:
            return None
        return Law(self.rules, member.user_id, self._ids.owner_of, self._server_id, member.run)

    def _receive_stale(self, member: Member, update: bytes, *, is_reply: bool) -> None:
        if member not in self.members and member not in self._threshold:  # it left meanwhile
            if is_reply:
                self._owner.keep_stale(self, member, update)
            return
        self._turn_away(member)
        if is_reply:
            self._keep_aside(member, update)
        else:
            self._threshold.hold(member, update)

    def _note(self, member: Member, verdict: Verdict, *, is_reply: bool) -> None:
        """What of the update is not taken in."""
        if is_reply:
            self._resync_asked.discard(member)
        if verdict.refused:
            reason = f"client ids {verdict.refused} belong to other users"
            self.members.send(member, permission_denied(reason), {})
        if verdict.rest is not None:
            self._hold(member, verdict.rest)
            if not is_reply and member in self.members and member not in self._resync_asked:
                self._resync_asked.add(member)
                self.ask_for_missing(member)

    async def merge(
        self,
        author: Member,
        update: bytes,
        *,
        is_reply: bool = True,
        effects_of: EffectsOf | None = None,
    ) -> None:
        """Take in an update that was kept aside, as what its author would have written in this epoch.

        Who else works on the document comes first. `is_reply`: its client ids may be others' than the author's.
        Raises MalformedUpdate, UpdateIncomplete, BudgetExceeded, EngineFailure, and RoomBusy where the room is over,
        or somebody else has locked it; it is stored, with its effects, once the journal says so.
        """
        begun: asyncio.Future[asyncio.Future[Intake]] = asyncio.get_running_loop().create_future()
        merged = partial(self._merged, author, is_reply, effects_of)
        self._standstill.afterwards(partial(self._begin_merge, author, update, begun, merged))
        # Shielded: whoever gives up waiting cannot stop the thread, nor may the room go on before it has ended.
        intake = await asyncio.shield(await begun)
        if self._is_over:
            raise RoomBusy
        if isinstance(intake.failure, EngineFailure):
            raise intake.failure

    def _begin_merge(
        self,
        author: Member,
        update: bytes,
        begun: asyncio.Future[asyncio.Future[Intake]],
        merged: Callable[[asyncio.Future[Intake]], None],
    ) -> None:
        if begun.done():  # nobody waits for it any more
            return
        if self._is_over or self._holding.blocks(self.name, author.user_id):
            begun.set_exception(RoomBusy())
            return
        if author.run is not None:
            try:
                author.run.check(self.name.canonical, len(update))
            except BudgetExceeded as exceeded:
                begun.set_exception(exceeded)
                return
        owner_of = self._ids.owner_of if self.rules is not None else _nobodys
        job = partial(_take_in_whole, self.document, update, owner_of, author.user_id, self._law(author))
        begun.set_result(self._work_in_thread(author, job, merged, size_bytes=len(update)))

    def _merged(
        self, author: Member, is_reply: bool, effects_of: EffectsOf | None, future: asyncio.Future[Intake]
    ) -> None:
        if future.exception() is None:
            self._complete(author, future.result(), is_reply=is_reply, effects_of=effects_of)
            self._stale_ids -= self.document.contents.state.keys()
            self._receipts.settle_all_of(author.user_id)

    def would_change(self, update: bytes) -> asyncio.Future[bool]:
        """Whether the update holds anything that the document has not.

        Raises MalformedUpdate, TooManyStructs, RoomBusy.
        """
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def compare(checked: asyncio.Future[UpdateShape]) -> None:
            error = RoomBusy() if self._is_over else checked.exception()
            if answer.cancelled():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(self.document.contents.adds(checked.result()))

        checked = self._owner.in_thread(
            partial(check_update, update, self._limits.max_update_structs), len(update)
        )
        checked.add_done_callback(lambda checked: self._standstill.afterwards(partial(compare, checked)))
        return answer

    def _hold(self, member: Member, update: bytes) -> None:
        if member in self.members:
            self._held.add(member, update)

    def let_go_of_held(self, member: Member) -> None:
        """Take in nothing that the member sent before something that has not come yet."""
        self._held.drop(member)

    def ask_for_missing(self, member: Member) -> None:
        """The member answers with what it has and the document has not; it is asked once that may be read."""
        self._standstill.afterwards(partial(self._ask, member))

    def _ask(self, member: Member) -> None:
        self.members.send(member, self._question(), {})

    def _ask_stranger(self, member: Member) -> None:
        member.deliver(Frame(self._question()))

    def _question(self) -> bytes:
        return sync_step_1(write_state_vector(self.document.contents.state))

    def _complete(
        self, member: Member, intake: Intake, *, is_reply: bool, effects_of: EffectsOf | None = None
    ) -> None:
        verdict, applied = intake.verdict, intake.applied
        if intake.failure is not None:
            self._engine_failed(member, intake, is_reply, effects_of)
        elif intake.ruling is not None:
            self._follow(member, intake, intake.ruling, is_reply=is_reply)
        elif applied is not None:
            effects = () if effects_of is None else effects_of(applied.update)
            self._publication.of_member(member, applied, is_reply=is_reply, effects=effects)
            if verdict.acknowledged is not applied.update:
                self._echoes.acknowledge(member, verdict)
        elif verdict.shape is not None and verdict.shape.structs:
            self._echoes.acknowledge(member, verdict)  # known already, but the author may not know that it is
        if self._receipts.waiting:
            self._receipts.settle(member)

    def _follow(self, member: Member, intake: Intake, ruling: Ruling, *, is_reply: bool) -> None:
        """Store and pass on what the rules have left of an update, and what the server had to put right."""
        for refusal in ruling.refusals:
            member.deny(refusal)
        if intake.applied is not None:
            self._publication.of_member(member, intake.applied, is_reply=is_reply, effects=ruling.effects)
        if intake.correction is not None:
            self._publication.of_server(intake.correction)
        shape = intake.verdict.shape
        if shape is not None and intake.verdict.acknowledged is not intake.verdict.ready:
            self._echoes.return_since(member, {client: first for client, (first, _) in shape.structs.items()})

    def write(
        self, build: Callable[[Id], Written | None], *, author_id: int | None = None, run: Run | None = None
    ) -> None:
        """Have the server write to the document, as soon as nobody else works on it: on behalf of these, if any.

        `build`: the id of the server's next struct -> what to write, which fits the document as it is then; None if
        there is nothing. It is called again if the document has to be built anew first.
        """
        self._standstill.afterwards(partial(self._write, build, author_id, run))

    @property
    def next_id(self) -> Id:
        """Of the next struct that the server writes."""
        return self._server_id, self.document.contents.state.get(self._server_id, 0)

    def write_meanwhile(self, update: bytes) -> None:
        """Write this at once, from `next_id` on: for whoever has made the room stand still."""
        try:
            self._publish(Written(update))
        except (EngineFailure, MustRebuild, MalformedUpdate) as error:
            self.fail(error)

    def _write(self, build: Callable[[Id], Written | None], author_id: int | None, run: Run | None) -> None:
        if self._is_over:
            return
        written = build(self.next_id)
        if written is None:
            return
        try:
            self._publish(written, author_id, run)
        except (EngineFailure, MustRebuild) as failure:
            again = partial(self._write, build, author_id, run)
            self._rebuild(failure, again if isinstance(failure, MustRebuild) else _nothing)
        except MalformedUpdate as error:
            self.fail(error)

    def _publish(self, written: Written, author_id: int | None = None, run: Run | None = None) -> None:
        applied = apply(self.document, written.update)
        if self.rules is not None:
            self.rules.take_in(written.update)
        self._publication.of_server(applied, author_id, written.effects, run)

    def _engine_failed(
        self, member: Member, intake: Intake, is_reply: bool, effects_of: EffectsOf | None
    ) -> None:
        failure = intake.failure
        if isinstance(failure, MustRebuild):
            again = partial(self._integrate_later, member, intake.verdict, is_reply, effects_of)
            self._rebuild(failure, again, member)
        elif failure is not None:
            logger.error("the engine failed on an update of user %s: %s", member.user_id, failure)
            member.close(CloseCode.MALFORMED, "the document engine refused this update")
            self._rebuild(failure, _nothing)

    def _integrate_later(
        self, member: Member, verdict: Verdict, is_reply: bool, effects_of: EffectsOf | None
    ) -> None:
        """What is wrong with an update that had to wait is its author's fault, whoever made it possible."""
        try:
            intake = integrate(self.document, verdict, self._law(member))
            self._complete(member, intake, is_reply=is_reply, effects_of=effects_of)
        except MalformedUpdate as error:
            member.fail(error)

    def receive_awareness(self, member: Member, data: bytes) -> None:
        """Take in awareness entries and tell the others what is news. Raises MalformedAwareness."""
        if member in self._threshold:
            self._threshold.show(member, data)
            return
        self.presence.receive(member, data, may_own=partial(self._ids.may_use, member))
        own_id = self.presence.own_id(member)
        if own_id is not None:
            self._echoes.return_structs(member, (own_id,), self.document.contents.state)

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
        self, reason: EngineFailure | MustRebuild, afterwards: Callable[[], None], cause: Member | None = None
    ) -> None:
        """Stop the room until its document is built anew; members wait, and nothing is lost."""
        if not self._is_rebuilding:
            logger.warning("rebuilding %s: %s", self.name, reason)
            self._is_rebuilding = True
            self._rebuild_cause = cause
            self._standstill.begin()
            self._owner.rebuild(self, reason.guard if isinstance(reason, MustRebuild) else None)
        self._standstill.afterwards(afterwards)

    def rebuilt(self, loaded: LoadedDocument, *, cost_seconds: float) -> None:
        """Go on where the room stopped; who made it stop waits longer, so that the others have most of the time."""
        if self._is_over:
            return
        self._hold_document(loaded)
        self._ids.loaded_again(loaded.authors, loaded.relayable)
        self._is_rebuilding = False
        if self._rebuild_cause is not None:
            self._rebuild_cause.slow_down(cost_seconds * _REBUILD_SHARE)
        self._go_on(_nothing)

    def _hold_document(self, loaded: LoadedDocument) -> None:
        self.document = loaded.document
        self.ydoc = loaded.document.ydoc
        self.rules = loaded.rules
        self._stale_ids = loaded.stale_ids

    @asynccontextmanager
    async def standing_still(self) -> AsyncIterator[None]:
        """Nothing changes the document, and nobody is answered, for as long as the block lasts. Raises RoomBusy."""
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._standstill.afterwards(partial(self._stand_still, begun))
        try:
            await begun
            yield
        finally:
            if begun.done() and not begun.cancelled() and begun.exception() is None:
                self._go_on(_nothing)

    def _stand_still(self, begun: asyncio.Future[None]) -> None:
        if begun.done():  # nobody waits for it any more
            return
        if self._is_over:
            begun.set_exception(RoomBusy())
        else:
            self._standstill.begin()
            begun.set_result(None)

    def begin_epoch(self, loaded: LoadedDocument, reason: str) -> None:
        """While it stands still: go on with another document; who has a replica of the old one is sent away."""
        if self._is_over:
            return
        for member in (*self.members, *self._threshold.members()):
            if member.has_replica and not self._threshold.is_leaving(member):
                member.close(CloseCode.HISTORY_CHANGED, reason)
        self._hold_document(loaded)
        self.epoch = self.journal.epoch = loaded.epoch
        self._server_id = secrets.randbits(32)
        self._ids.begin_epoch(loaded.authors)
        self._publication.begin_epoch()

    def on_end(self, action: Callable[[], None]) -> None:
        """Act when the room ends before its time, and what waits for it waits in vain; at once, if it has."""
        if self._is_over:
            action()
        else:
            self._endings[action] = None

    def on_end_no_more(self, action: Callable[[], None]) -> None:
        """It need not act."""
        self._endings.pop(action, None)

    def fail(self, error: BaseException) -> None:
        """The document cannot go on: send everybody away, to come back with what was not saved."""
        logger.error("closing %s: %s", self.name, error)
        self._dismiss(CloseCode.INTERNAL_ERROR, "the document could not be saved")

    def dismiss(self) -> None:
        """Send everybody away; who comes back opens the room anew."""
        self._dismiss(CloseCode.SERVICE_RESTART, _CLOSED)

    def _dismiss(self, code: CloseCode, reason: str) -> None:
        self._is_over = True
        self._owner.failed(self)
        for member in self.everybody():
            member.close(code, reason)
        self._publication.cancel()
        self.presence.cancel()
        for action in tuple(self._endings):
            action()
        if self._is_rebuilding:
            self._is_rebuilding = False
            self._standstill.end(_nothing)
        if not self._standstill.is_on:  # else once the thread lets go of it
            self.release()

    def release(self) -> None:
        """The room is closed for good: what is left of it, a circle of references, does not keep the document."""
        self.document = Document()
        self.ydoc = self.document.ydoc

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


def _nothing() -> None: ...


def _at_once(action: Callable[[], None]) -> None:
    action()


def _nobodys(_: int) -> None: ...


def _take_in_whole(
    document: Document,
    update: bytes,
    owner_of: Callable[[int], int | None],
    user_id: int,
    law: Law | None,
) -> Intake:
    verdict = judge(update, document.contents, owner_of, user_id=user_id, is_reply=True)
    if verdict.rest is not None:
        raise UpdateIncomplete
    return integrate(document, verdict, law)
