"""What happens in rooms, and what concerns one user, from the features that cause it to whoever shows it.

Knows no socket. Everything is called on the event loop, in the order in which it is published.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

Key = TypeVar("Key")
logger = logging.getLogger(__name__)


class News(NamedTuple):
    """Something that has happened. `payload` holds what JSON holds.

    `sender_id`: the user who caused it; None: the server did. `seq`: its place among what is kept of the room, for
    those who come back; None where it is not kept.
    """

    type: str
    payload: Mapping[str, Any]
    sender_id: int | None
    at_ms: int
    seq: int | None = None


Listener = Callable[[News], None]
_Table = dict[Key, dict[object, Listener]]  # by what was subscribed to, then by subscription


class Hub:
    """A listener hears what is published after it has subscribed; one that fails is logged, and hurts no other."""

    def __init__(self) -> None:
        self._of_room: _Table[str] = {}
        self._of_user: _Table[int] = {}

    def subscribe(self, room: str, listener: Listener) -> Callable[[], None]:
        """Hear the news of a room, by its canonical name. Returns what ends that; it may be called again."""
        return _subscribe(self._of_room, room, listener)

    def is_heard(self, room: str) -> bool:
        """Whether anybody listens to the room."""
        return room in self._of_room

    def publish(self, room: str, news: News, *, but: Listener | None = None) -> None:
        """Tell all listeners of the room except `but`."""
        _tell(self._of_room.get(room, {}), news, but)

    def subscribe_user(self, user_id: int, listener: Listener) -> Callable[[], None]:
        """Hear what concerns a user, wherever it happens. Returns as `subscribe` does."""
        return _subscribe(self._of_user, user_id, listener)

    def publish_to_user(self, user_id: int, news: News) -> None:
        """Tell all listeners of one user."""
        _tell(self._of_user.get(user_id, {}), news, None)


def _subscribe(table: "_Table[Key]", key: Key, listener: Listener) -> Callable[[], None]:
    subscription = object()
    table.setdefault(key, {})[subscription] = listener
    return partial(_unsubscribe, table, key, subscription)


def _unsubscribe(table: "_Table[Key]", key: Key, subscription: object) -> None:
    listeners = table.get(key, {})
    if listeners.pop(subscription, None) is not None and not listeners:
        del table[key]


def _tell(listeners: Mapping[object, Listener], news: News, but: Listener | None) -> None:
    for listener in tuple(listeners.values()):
        if listener == but:
            continue
        try:
            listener(news)
        except Exception:
            logger.exception("a listener failed at news of type %s", news.type)
