"""What becomes of the messages and reactions that an update touches."""

from collections.abc import Iterator
from typing import NamedTuple

from server.chat.fields import read_reaction_key
from server.chat.judgement import Edited, Message, News, Reacted, Sent, Tombstoned
from server.chat.rules import Rules
from server.chat.thread import Identity, Thread, identity_of, read_message
from server.replica.nodes import Branch, Chain
from server.replica.reading import value_of

_EDITED_FIELDS = ("body", "edited_at", "mentions")


class _Seen(NamedTuple):
    """A message as it was before the update: its fields, as far as they are touched; `identity` is None if it was
    none.
    """

    identity: Identity | None
    held: dict[str, object]


class Watch:
    """Is told what an update touches before that is settled, and compares afterwards."""

    def __init__(self, thread: Thread, rules: Rules) -> None:
        self._thread = thread
        self._rules = rules
        self.maps: dict[Branch, _Seen] = {}
        """Messages and drafts, in the order in which they were touched."""
        self._reactions: dict[Chain, bool] = {}

    def message(self, branch: Branch, key: str | None) -> None:
        """Something is to be set in a message or draft."""
        seen = self.maps.get(branch)
        if seen is None:
            seen = self.maps[branch] = _Seen(self._identity(branch), {})
        if key is not None and seen.identity is not None and key not in seen.held:
            seen.held[key] = value_of(self._rules.settled(branch.entries[key]))

    def _identity(self, branch: Branch) -> Identity | None:
        return identity_of(branch, self._rules.settled) if self._rules.was_message(branch) else None

    def reaction(self, chain: Chain) -> None:
        """A reaction is to be set or taken back."""
        if chain not in self._reactions:
            self._reactions[chain] = value_of(self._rules.settled(chain)) is True

    def news(self) -> tuple[News, ...]:
        """To be asked once all is settled and put right."""
        return (*self._message_news(), *self._reaction_news())

    def _message_news(self) -> Iterator[News]:
        for branch, seen in self.maps.items():
            current = self._thread.holder_of(*seen.identity) if seen.identity else branch
            if current is None or not current.is_alive:
                continue
            message = read_message(current)
            if message is not None:
                yield from self._compare(message, current, seen)

    def _compare(self, message: Message, current: Branch, seen: _Seen) -> Iterator[News]:
        def has_changed(key: str) -> bool:
            return key in seen.held and value_of(current.winner(key)) != seen.held[key]

        fields = tuple(filter(has_changed, _EDITED_FIELDS))
        if seen.identity is None:
            yield Sent(message)
        elif fields and not message.is_deleted:
            yield Edited(message, fields)
        if message.is_deleted and (seen.identity is None or has_changed("deleted")):
            yield Tombstoned(message)

    def _reaction_news(self) -> Iterator[News]:
        for chain, was_set in self._reactions.items():
            is_set = value_of(chain.winner) is True
            reaction = read_reaction_key(chain.key or "")
            if is_set != was_set and reaction is not None:
                yield Reacted(*reaction, is_set)
