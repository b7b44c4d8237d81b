"""Updates that arrived before what they build on: kept for a while, in case that comes."""

from collections.abc import Callable, Container
from dataclasses import dataclass

from server.protocol.update_shape import check_update
from server.rooms.member import Member
from server.rooms.standstill import Standstill

_MAX_UPDATES = 64
"""Of one member: each may be looked at again whenever something comes that it may have waited for."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """`waits_for`: the client ids of which something may be missing."""

    member: Member
    update: bytes
    waits_for: frozenset[int]


class HeldUpdates:
    """A bounded number of bytes for each member. Dropping loses nothing: the author was asked to send it again."""

    def __init__(self, max_bytes_per_member: int) -> None:
        self._max_bytes = max_bytes_per_member
        self._held: list[Held] = []

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, member: Member, update: bytes) -> None:
        """Keep it, unless the member has used up its share."""
        own = [held for held in self._held if held.member is member]
        if len(own) >= _MAX_UPDATES or sum(len(held.update) for held in own) + len(update) > self._max_bytes:
            return
        shape = check_update(update)
        waits_for = {*shape.structs, *shape.depends, *(client for client, _, _ in shape.deletes)}
        self._held.append(Held(member, update, frozenset(waits_for)))

    def take_waiting_for(self, clients: Container[int]) -> list[Held]:
        """Remove and return what may have become possible, now that structs of these clients have come."""
        taken: list[Held] = []
        kept: list[Held] = []
        for held in self._held:
            (taken if any(client in clients for client in held.waits_for) else kept).append(held)
        self._held = kept
        return taken

    def drop(self, member: Member) -> None:
        """The member has left."""
        self._held = [held for held in self._held if held.member is not member]


class Retries:
    """Takes in what was held once something came that it may have waited for, and what waited for that in turn."""

    def __init__(
        self, held: HeldUpdates, standstill: Standstill, take_in: Callable[[Member, bytes], None]
    ) -> None:
        self._held = held
        self._standstill = standstill
        self._take_in = take_in
        self._possible: list[Held] = []
        self._is_at_it = False

    def try_those_of(self, clients: Container[int]) -> None:
        """Structs of these clients have come."""
        self._possible += self._held.take_waiting_for(clients)
        if not self._is_at_it:
            self._go_on()

    def _go_on(self) -> None:
        self._is_at_it = True
        try:
            while self._possible and not self._standstill.is_on:
                held = self._possible.pop(0)
                self._take_in(held.member, held.update)
        finally:
            self._is_at_it = False
        if self._possible:
            self._standstill.afterwards(self._go_on)
