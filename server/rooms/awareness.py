"""Who is here: the awareness state of each connection, under the one client id that it brought.

Stock clients send on what they hear about others, from the server and from other tabs, and late: y-websocket's
update handler does not look at the origin. So a connection speaks for one client id only, the first it names on its
own, and whatever it says about others is dropped, entry by entry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from server.protocol.awareness_codec import MAX_CLOCK, AwarenessEntry

_MEMORY_SECONDS = 60.0
"""How long an id is remembered whose connection is gone: longer than any echo of it takes."""


class Owner(Protocol):
    """A connection, as far as awareness is concerned."""

    @property
    def user_id(self) -> int: ...


AnyOwner = TypeVar("AnyOwner", bound=Owner)


@dataclass(slots=True)
class _Presence(Generic[AnyOwner]):
    """`shift` is added to the owner's clocks: who returns with an old clock is news to the others all the same."""

    owner: AnyOwner | None
    user_id: int
    clock: int
    state: bytes | None
    shift: int = 0
    left_at_seconds: float = 0.0


class AwarenessTable(Generic[AnyOwner]):
    """The states of one room's connections."""

    def __init__(self) -> None:
        self._presences: dict[int, _Presence[AnyOwner]] = {}
        self._own_ids: dict[AnyOwner, int | None] = {}
        self.dropped_entries = 0

    def states(self) -> list[AwarenessEntry]:
        """Everybody's current state."""
        return [
            AwarenessEntry(client_id, presence.clock, presence.state)
            for client_id, presence in self._presences.items()
            if presence.state is not None
        ]

    def own_id(self, owner: AnyOwner) -> int | None:
        """The client id that this connection speaks for, once it has named one."""
        return self._own_ids.get(owner)

    def owner_of(self, client_id: int) -> AnyOwner | None:
        """The connection that speaks for this id now."""
        presence = self._presences.get(client_id)
        return None if presence is None else presence.owner

    def receive(
        self,
        owner: AnyOwner,
        entries: Sequence[AwarenessEntry],
        *,
        may_own: Callable[[int], bool],
        stamp: Callable[[bytes], bytes],
    ) -> AwarenessEntry | None:
        """Take in what a connection sent; return what is news to the others, with the clock they shall see.

        `may_own`: whether this connection's user may use that client id. `stamp`: what a state becomes before it
        is shown; what it raises, this raises.
        """
        is_first = owner not in self._own_ids
        own_id = self._own_ids.setdefault(owner, None)
        if own_id is None and len(entries) == 1 and may_own(entries[0].client_id):
            own_id = self._claim(owner, entries[0], is_first)
        news = None
        for entry in entries:
            presence = self._presences.get(entry.client_id)
            if entry.client_id == own_id and presence is not None and presence.owner is owner:
                news = _renew(presence, entry, stamp) or news
            else:
                self.dropped_entries += 1
        return news

    def _claim(self, owner: AnyOwner, entry: AwarenessEntry, is_first: bool) -> int | None:
        known = self._presences.get(entry.client_id)
        if entry.state is None or (known is not None and not _may_take_over(owner, entry, known, is_first)):
            return None
        presence = _Presence(owner, owner.user_id, entry.clock - 1, None)
        if known is not None:
            presence.clock, presence.state = known.clock, known.state
            presence.shift = max(0, known.clock + 1 - entry.clock)
            if entry.clock + presence.shift > MAX_CLOCK:
                return None
            if known.owner is not None:
                self._own_ids[known.owner] = None
        self._presences[entry.client_id] = presence
        self._own_ids[owner] = entry.client_id
        return entry.client_id

    def leave(self, owner: AnyOwner, *, now_seconds: float) -> AwarenessEntry | None:
        """The connection is gone; return what tells the others, if it was there for them."""
        client_id = self._own_ids.pop(owner, None)
        self._forget(now_seconds)
        if client_id is None:
            return None
        presence = self._presences[client_id]
        was_shown = presence.state is not None
        presence.owner, presence.state, presence.left_at_seconds = None, None, now_seconds
        return AwarenessEntry(client_id, presence.clock, None) if was_shown else None

    def _forget(self, now_seconds: float) -> None:
        for client_id, presence in list(self._presences.items()):
            if presence.owner is None and presence.left_at_seconds < now_seconds - _MEMORY_SECONDS:
                del self._presences[client_id]


def _may_take_over(
    owner: AnyOwner, entry: AwarenessEntry, known: _Presence[AnyOwner], is_first: bool
) -> bool:
    # What a connection says first, it cannot have heard from us; later, only a newer clock is no echo.
    is_its_own = is_first or entry.clock > known.clock
    # Still held: by the same user's half-open socket after a reconnect. Nobody takes another user's id, nor that of
    # somebody who has just left and may come back.
    return is_its_own and known.user_id == owner.user_id


def _renew(
    presence: _Presence[AnyOwner], entry: AwarenessEntry, stamp: Callable[[bytes], bytes]
) -> AwarenessEntry | None:
    """What the owner says counts when its clock is newer, or says at the same clock that it is gone."""
    clock = entry.clock + presence.shift
    is_leaving = entry.state is None and presence.state is not None
    if not presence.clock <= clock <= MAX_CLOCK or (clock == presence.clock and not is_leaving):
        return None
    presence.state = None if entry.state is None else stamp(entry.state)
    presence.clock = clock
    return AwarenessEntry(entry.client_id, clock, presence.state)
