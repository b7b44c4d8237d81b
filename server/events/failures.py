"""What a failure is called in an `error` event."""

from typing import NamedTuple

from crdt_store.update_log import LogUnavailable
from server.events.errors import EventError, EventErrorCode
from server.limits.too_many import TooMany
from server.rooms.room import RoomBusy
from server.rooms.room_manager import NoSuchRoom, RoomsFull, RoomUnavailable


class Failure(NamedTuple):
    """`reason` is for people."""

    code: EventErrorCode
    reason: str


def describe(error: BaseException) -> Failure:
    """INTERNAL for whatever nobody expected; of that, and of the store's own words, nothing is told."""
    if isinstance(error, EventError):
        return Failure(error.code, error.reason)
    if isinstance(error, TooMany):
        return Failure(EventErrorCode.RATE_LIMITED, str(error))
    if isinstance(error, NoSuchRoom):
        return Failure(EventErrorCode.NOT_FOUND, str(error))
    if isinstance(error, RoomsFull):
        return Failure(EventErrorCode.UNAVAILABLE, str(error))
    is_passing = isinstance(error, RoomUnavailable | RoomBusy | LogUnavailable)
    code = EventErrorCode.UNAVAILABLE if is_passing else EventErrorCode.INTERNAL
    return Failure(code, code.meaning)
