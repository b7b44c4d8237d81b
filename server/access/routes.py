"""Who am I, what may I do, and let me in: `/api/me`, `/api/roles`, `/api/tickets`."""

from datetime import UTC, datetime
from typing import Annotated, Self

from fastapi import APIRouter, FastAPI, Response
from pydantic import BaseModel, Field

from auth.grants import Action, Grant
from auth.principals import Agent
from crdt_store.update_log import LogUnavailable
from crdt_store.users import NoSuchUser
from server.access.callers import Caller, Door, parse_room, require
from server.access.identity import Identity
from server.access.revocation_routes import add_revocation_routes
from server.access.texts import Body, RoleName, role_name
from server.api_errors import ErrorCode, add_error_handlers
from server.settings import Settings

_MAX_ROOM_CHARACTERS = 1024
_LAST_MOMENT_SECONDS = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()


class MeModel(BaseModel):
    """The caller, as the token says. `agent` is set where it is a program that acts by itself."""

    user_id: int
    name: str
    issuer: str
    subject: str
    color: str | None
    avatar: str | None
    expires_at: datetime
    agent: Agent | None

    @classmethod
    def of(cls, identity: Identity) -> Self:
        principal = identity.principal
        return cls(
            user_id=identity.user_id,
            name=principal.name,
            issuer=principal.issuer,
            subject=principal.subject,
            color=principal.color,
            avatar=principal.avatar,
            expires_at=datetime.fromtimestamp(min(principal.expires_at_seconds, _LAST_MOMENT_SECONDS), UTC),
            agent=principal.agent,
        )


class RoleModel(BaseModel):
    """The caller's role in a room, and what it allows there."""

    room: str
    role: RoleName
    may: list[str]


class TicketRequest(Body):
    """The room that the ticket is for."""

    room: Annotated[str, Field(min_length=1, max_length=_MAX_ROOM_CHARACTERS)]


class TicketModel(BaseModel):
    """For `?ticket=`: good for one connection, within so many seconds."""

    ticket: str
    expires_in: float


def add_access_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes; `app.state` has `doorkeeper` while the server serves."""
    codes = {LogUnavailable: ErrorCode.UNAVAILABLE, NoSuchUser: ErrorCode.NOT_FOUND}
    add_error_handlers(app, codes, internal=(LogUnavailable,))
    router = APIRouter(prefix="/api", tags=["access"])

    @router.get("/me")
    async def me(caller: Caller) -> MeModel:
        """Who the token says that the caller is."""
        return MeModel.of(caller)

    @router.get("/roles/{room:path}")
    async def role(room: str, caller: Caller, door: Door) -> RoleModel:
        """What the caller may do in a room."""
        name = parse_room(room, settings.plain_names_workspace_id)
        role = await require(door, caller, name, Action.READ)
        may = [action.name.lower() for action in Action if Grant(role).allows(action)]
        return RoleModel(room=name.canonical, role=role_name(role), may=may)

    @router.post("/tickets", status_code=201)
    async def ticket(body: TicketRequest, caller: Caller, door: Door, response: Response) -> TicketModel:
        """A one-use ticket for a room, to stand in the URL of a WebSocket in place of the token."""
        name = parse_room(body.room, settings.plain_names_workspace_id)
        await require(door, caller, name, Action.READ)
        ticket, expires_in = await door.issue_ticket(caller, name)
        response.headers["Cache-Control"] = "no-store"
        return TicketModel(ticket=ticket, expires_in=expires_in)

    add_revocation_routes(router)
    app.include_router(router)
