"""`/api/notifications`: what the caller was notified of, and wants to be."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request

from auth.grants import Action, Grant
from crdt_store.notifications import Notification, Notifications
from crdt_store.notifications_jobs import Broadcast
from crdt_store.notifications_preferences import EVERYWHERE, MAX_ROOMS, Level
from crdt_store.update_log import LogUnavailable
from server.access.callers import GLOBAL, Caller, Door, parse_room, require
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.news.hub import Hub, News
from server.notifications.models import (
    BroadcastRequest,
    NotificationModel,
    NotificationPage,
    PreferenceRequest,
    PreferencesModel,
    UnreadCount,
)
from server.notifications.telling import told_read
from server.rooms.names import RoomKind

_MAX_ITEMS = 200
_Id = Annotated[int, Path(gt=0, le=2**63 - 1)]


class Desk(NamedTuple):
    """What the routes work with. `wake`: there are jobs to be done. `new_key`: a text that is never the same."""

    notifications: Notifications
    hub: Hub
    now_ms: Callable[[], int]
    wake: Callable[[], None]
    new_key: Callable[[], str]

    def tell_read(self, user_id: int, notification_id: int | None, unread: int) -> UnreadCount:
        """What one device of the user has read, all hear of."""
        news = News("notification", told_read(notification_id, unread), None, self.now_ms())
        self.hub.publish_to_user(user_id, news)
        return UnreadCount(unread=unread)


def _desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.notifications
    return desk


_Desk = Annotated[Desk, Depends(_desk_of)]


def add_notification_routes(app: FastAPI) -> None:
    """Add the routes; `app.state` has `doorkeeper` and `notifications` (Desk) while the server serves."""
    add_error_handlers(app, {LogUnavailable: ErrorCode.UNAVAILABLE}, internal=(LogUnavailable,))
    router = APIRouter(prefix="/api", tags=["notifications"])
    _add_list_routes(router)
    _add_read_routes(router)
    _add_preference_routes(router)
    _add_broadcast_route(router)
    app.include_router(router)


def _add_list_routes(router: APIRouter) -> None:
    @router.get("/notifications")
    async def list_notifications(
        caller: Caller,
        door: Door,
        desk: _Desk,
        unread: bool = False,
        archived: bool = False,
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_ITEMS)] = 50,
    ) -> NotificationPage:
        """The caller's newest, or those with an id below `before`; `archived`: those that were put away."""
        found = await desk.notifications.page(
            caller.user_id, unread=unread, archived=archived, before=before, limit=limit + 1
        )
        items = [await _model(door, caller, each) for each in found[:limit]]
        return NotificationPage(items=items, next_before=items[-1].id if len(found) > limit else None)

    @router.get("/notifications/count")
    async def count_notifications(caller: Caller, desk: _Desk) -> UnreadCount:
        """How many the caller has not read."""
        return UnreadCount(unread=await desk.notifications.unread(caller.user_id))


def _add_read_routes(router: APIRouter) -> None:
    @router.post("/notifications/read-all")
    async def read_all_notifications(
        caller: Caller, desk: _Desk, up_to: Annotated[int | None, Query(ge=1)] = None
    ) -> UnreadCount:
        """Mark all as read, or those with an id of at most `up_to`: what came since stays unread."""
        unread = await desk.notifications.mark_all_read(caller.user_id, up_to, desk.now_ms())
        return desk.tell_read(caller.user_id, None, unread)

    @router.post("/notifications/{notification_id}/read")
    async def read_notification(notification_id: _Id, caller: Caller, desk: _Desk) -> UnreadCount:
        """Mark one as read."""
        unread = await desk.notifications.mark_read(caller.user_id, notification_id, desk.now_ms())
        return desk.tell_read(caller.user_id, notification_id, _found(unread, notification_id))

    @router.post("/notifications/{notification_id}/archive")
    async def archive_notification(notification_id: _Id, caller: Caller, desk: _Desk) -> UnreadCount:
        """Put one away, and mark it as read."""
        unread = await desk.notifications.archive(caller.user_id, notification_id, desk.now_ms())
        return desk.tell_read(caller.user_id, notification_id, _found(unread, notification_id))


def _add_preference_routes(router: APIRouter) -> None:
    @router.get("/notifications/preferences")
    async def show_preferences(caller: Caller, desk: _Desk) -> PreferencesModel:
        """What the caller wants to be told of."""
        return PreferencesModel.of(*await desk.notifications.preferences(caller.user_id))

    @router.put("/notifications/preferences")
    async def set_preference(
        body: PreferenceRequest, caller: Caller, door: Door, desk: _Desk
    ) -> PreferencesModel:
        """Say it of one chat, or of all others."""
        room = EVERYWHERE
        if body.room is not None:
            name = parse_room(body.room, None)
            if name.kind is not RoomKind.CHAT:
                raise ApiError(ErrorCode.INVALID_PARAMETER, "body room: only chats have a level of their own")
            await require(door, caller, name, Action.READ)
            room = name.canonical
        level = None if body.level is None else Level[body.level.upper()]
        if not await desk.notifications.prefer(caller.user_id, room, level):
            raise ApiError(ErrorCode.INVALID_PARAMETER, f"body room: {MAX_ROOMS} chats have a level already")
        return PreferencesModel.of(*await desk.notifications.preferences(caller.user_id))


def _add_broadcast_route(router: APIRouter) -> None:
    @router.post("/notifications/broadcast", status_code=202)
    async def broadcast(body: BroadcastRequest, caller: Caller, door: Door, desk: _Desk) -> None:
        """Notify everybody, those who are not online too. It is certain to happen when this is answered."""
        await require(door, caller, GLOBAL, Action.ADMINISTER)
        news = Broadcast(body.text, caller.user_id, desk.new_key())
        await desk.notifications.broadcast(news, desk.now_ms())
        desk.wake()


async def _model(door: Doorkeeper, caller: Identity, found: Notification) -> NotificationModel:
    """With what it says only where the caller may read the room now."""
    role = await door.role_in(caller, parse_room(found.room, None))
    return NotificationModel.of(found, may_read=Grant(role).allows(Action.READ))


def _found(unread: int | None, notification_id: int) -> int:
    if unread is None:
        raise ApiError(ErrorCode.NOT_FOUND, f"you have no notification {notification_id}")
    return unread
