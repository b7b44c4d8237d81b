"""What a document has taken in, on its way to the log and to the members."""

from collections.abc import Callable, Sequence
from functools import partial

from crdt_store.effects import Effect
from crdt_store.journal import Journal
from crdt_store.update_log import LogUnavailable
from server.rooms.broadcast import Broadcast
from server.rooms.client_ids import ClientIds
from server.rooms.echoes import Echoes
from server.rooms.intake import Applied
from server.rooms.member import Member
from server.rooms.runs import Run


class Publication:
    """The journal has an update before anybody hears of it. `on_failure` is called when it cannot have it."""

    def __init__(
        self,
        journal: Journal,
        broadcast: Broadcast,
        echoes: Echoes,
        client_ids: ClientIds,
        now_seconds: Callable[[], float],
        on_failure: Callable[[LogUnavailable], None],
        when_shown: Callable[[Callable[[], None]], None],
    ) -> None:
        """`when_shown` acts at once, or, where nobody may see what is not saved, once all there is is committed."""
        self._when_shown = when_shown
        self._journal = journal
        self._broadcast = broadcast
        self._echoes = echoes
        self._client_ids = client_ids
        self._now_seconds = now_seconds
        self._on_failure = on_failure

    def of_member(
        self, member: Member, applied: Applied, *, is_reply: bool, effects: Sequence[Effect] = ()
    ) -> None:
        """What a member has brought; `effects` are stored with it."""
        own_ids = self._client_ids.own(member, applied.state_before, is_reply=is_reply)
        self._client_ids.bind(member, own_ids)
        if is_reply:
            self._client_ids.brought(member, applied.state_before)
        if self._store(applied.update, member.user_id, own_ids, effects, member.run):
            self._echoes.return_structs(member, own_ids, applied.state_before)
            self._when_shown(partial(self._broadcast.add, member, applied.update, applied.shape))

    def of_server(
        self,
        applied: Applied,
        author_id: int | None = None,
        effects: Sequence[Effect] = (),
        run: Run | None = None,
    ) -> None:
        """What the server has written, on behalf of `author_id` if of anybody."""
        if self._store(applied.update, author_id, (), effects, run):
            self._when_shown(partial(self._broadcast.add, None, applied.update, applied.shape))

    def cancel(self) -> None:
        """The room is over."""
        self._broadcast.cancel()

    def begin_epoch(self) -> None:
        """The document is another one."""
        self._broadcast.forget()

    def _store(
        self,
        update: bytes,
        author_id: int | None,
        client_ids: tuple[int, ...],
        effects: Sequence[Effect],
        run: Run | None,
    ) -> bool:
        try:
            self._journal.append(
                update,
                author_id=author_id,
                client_ids=client_ids,
                received_at_ms=int(self._now_seconds() * 1000),
                effects=effects,
                run_id=None if run is None else run.id,
            )
        except LogUnavailable as error:
            self._on_failure(error)
            return False
        if run is not None:
            run.count(self._journal.document, len(update))
        return True
