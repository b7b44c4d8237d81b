"""What every conversation of this node shares."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from server.access.doorkeeper import Doorkeeper
from server.events.event_texts import EventTexts
from server.events.handlers import EventHandlers
from server.events.remembered_answers import RememberedAnswers
from server.events.room_feed import RoomHistory
from server.limits.gate import Gate
from server.news.hub import Hub
from server.presence.keeper import PresenceKeeper
from server.presence.world import World
from server.rooms.room_manager import RoomManager
from server.settings import Settings


class UnreadCounts(Protocol):
    """How much of chats somebody has not read: `crdt_store.messages.Messages`."""

    async def unread(self, user_id: int, chat_ids: list[int]) -> Mapping[int, int]:
        """By chat. Raises LogUnavailable."""


class Context(NamedTuple):
    """Clocks and randomness come last: `now_seconds` is never set back, `now_ms` is since 1970."""

    settings: Settings
    doorkeeper: Doorkeeper
    rooms: RoomManager
    gate: Gate
    hub: Hub
    handlers: EventHandlers
    history: RoomHistory
    unread: UnreadCounts | None
    unread_notifications: Callable[[int], Awaitable[int]]  # of a user; raises LogUnavailable
    answers: RememberedAnswers
    presence: PresenceKeeper
    world: World
    texts: EventTexts
    now_seconds: Callable[[], float]
    now_ms: Callable[[], int]
    random_client_id: Callable[[], int]
