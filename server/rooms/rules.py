"""What a document of some kind may hold: chat threads have such rules, files have none."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from crdt_store.effects import Effect
from server.protocol.structs import Id
from server.rooms.names import RoomName
from server.rooms.runs import Run


class Ruling(NamedTuple):
    """`accepted`: what may be of the update, None if nothing; its `effects` are stored with it. `correction`: the
    server's own update, to follow it. `refusals`: for whoever brought the update, what was refused and why.
    """

    accepted: bytes | None
    correction: bytes | None = None
    refusals: Sequence[str] = ()
    effects: Sequence[Effect] = ()


class Written(NamedTuple):
    """What the server writes itself; its `effects` are stored with it."""

    update: bytes
    effects: Sequence[Effect] = ()


class DocumentRules(Protocol):
    """The rules of one document, which has been shown every update that it holds. Called by one thread at a time."""

    def take_in(self, update: bytes) -> None:
        """The document holds this: it was stored, or the server has written it."""

    def judge(
        self,
        update: bytes,
        user_id: int,
        owner_of: Callable[[int], int | None],
        *,
        at: Id,
        run: Run | None = None,
    ) -> Ruling:
        """Judge an update that has passed the gate, and of which the document holds nothing.

        `owner_of`: client id -> the user it is bound to. `at`: the server's client id and its next clock. `run`: of
        the agent that brings it. What is accepted, and the correction, count as taken in: if the document cannot
        apply them, both are made anew.
        """


RulesOf = Callable[[RoomName], DocumentRules | None]
"""The rules of a room's document, which has not been shown anything yet; None: everything may be."""


def no_rules(_: RoomName) -> None:
    """For rooms in which everything may be."""


class Law(NamedTuple):
    """Rules, as they apply to what one user brings."""

    rules: DocumentRules
    user_id: int
    owner_of: Callable[[int], int | None]
    server_id: int
    """The client id under which the server writes."""
    run: Run | None = None

    def judge(self, update: bytes, next_clock: int) -> Ruling:
        """As DocumentRules.judge."""
        at = self.server_id, next_clock
        return self.rules.judge(update, self.user_id, self.owner_of, at=at, run=self.run)
