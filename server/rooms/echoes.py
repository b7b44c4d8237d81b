"""What a member is told of its own edits beside the broadcast: only what comes back is saved."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from server.engine.document import Document, EngineFailure, write_state_vector
from server.protocol.yjs_messages import update_message
from server.rooms.gate import Verdict
from server.rooms.member import Member
from server.rooms.roster import Roster


class Echoes:
    """`on_failure` is called when the engine fails to encode."""

    def __init__(
        self,
        members: Roster,
        document: Callable[[], Document],
        when_committed: Callable[[Callable[[], None]], None],
        on_failure: Callable[[EngineFailure], None],
    ) -> None:
        self._members = members
        self._document = document
        self._when_committed = when_committed
        self._on_failure = on_failure

    def acknowledge(self, member: Member, verdict: Verdict) -> None:
        """Send the member its update back: the document holds it, but the member may not know that it does."""
        assert verdict.shape is not None
        starts = {client: first for client, (first, _) in verdict.shape.structs.items()}
        self._send(member, update_message(verdict.acknowledged), starts)

    def return_since(self, member: Member, starts: Mapping[int, int]) -> None:
        """Send the member what there is of these clients from those clocks on: what it said, as it was accepted."""
        if starts:
            state = self._document().contents.state | dict(starts)
            try:
                update = self._document().encode_since(write_state_vector(state))
            except EngineFailure as error:
                self._on_failure(error)
            else:
                self._send(member, update_message(update), starts)

    def return_structs(self, member: Member, client_ids: Iterable[int], state: Mapping[int, int]) -> None:
        """Send the member the structs that were there, at `state`, under ids that it first shows as its own.

        The echo of the last ones may have been lost with the connection before.
        """
        returning = [
            client_id
            for client_id in client_ids
            if self._members.is_first_showing(member, client_id) and state.get(client_id, 0) > 0
        ]
        if returning:
            try:
                message = update_message(self._document().encode_of_clients(returning))
            except EngineFailure as error:
                self._on_failure(error)
            else:
                self._send(member, message, dict.fromkeys(returning, 0))

    def _send(self, member: Member, message: bytes, starts: Mapping[int, int]) -> None:
        self._when_committed(partial(self._members.send, member, message, starts))
