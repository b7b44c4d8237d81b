"""`create_app(settings)`: the only place that chooses back ends and wires the parts together."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager

import anyio
from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from auth.grants import Role
from auth.tokens import TokenIssuer
from crdt_store.engine import Database, create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import UpdateLog
from crdt_store.users import UserDirectory
from server.engine.watchdog import watch_event_loop
from server.pages import add_pages
from server.rooms.room_manager import RoomManager
from server.run_marker import RunMarker
from server.settings import Settings, SettingsError
from server.transport.connection_manager import ConnectionManager
from server.transport.yjs_endpoint import YjsEndpoint

_COMMIT_SECONDS, _CLOSE_LOG_SECONDS = 4.0, 1.5
"""How long a stop waits for a disk that stands still; what is not stored then was not acknowledged."""

logger = logging.getLogger(__name__)


def create_app(settings: Settings, *, open_log: Callable[[Database], UpdateLog] = SqlUpdateLog) -> FastAPI:
    """The ASGI application; its database is migrated. `open_log` makes the log that documents are kept in.

    Raises SettingsError for settings that must not serve, UnknownSchema and LogUnavailable of the database.
    """
    settings.check_servable()
    if settings.redis_url is not None:
        logger.warning("REDIS_URL is set, but this version runs as one node and does not use it")
    tokens = token_issuer(settings)
    with ExitStack() as on_failure:
        marker = RunMarker(settings.data_dir)
        on_failure.callback(marker.close)
        try:
            migrate(settings.resolved_database_url())
        except ValueError as error:
            raise SettingsError(f"DATABASE_URL: {error}") from error
        on_failure.pop_all()
    endpoint = _Deferred()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _serving(settings, tokens, open_log, marker) as serve_yjs:
            endpoint.target = serve_yjs
            yield

    app = FastAPI(title="Costudio", lifespan=lifespan, docs_url="/api/docs", openapi_url="/api/openapi.json")
    app.router.routes.append(WebSocketRoute("/ws/{room:path}", endpoint.__call__))
    add_pages(app, settings, tokens)
    return app


def token_issuer(settings: Settings) -> TokenIssuer:
    """What signs and verifies tokens. Raises SettingsError without a secret."""
    return TokenIssuer(
        secret=settings.resolved_jwt_secret(),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        leeway_seconds=settings.jwt_leeway_seconds,
        default_role=Role.parse(settings.default_role),
    )


@asynccontextmanager
async def _serving(
    settings: Settings, tokens: TokenIssuer, open_log: Callable[[Database], UpdateLog], marker: RunMarker
) -> AsyncIterator[YjsEndpoint]:
    """Everything that runs while the server does, started in order and stopped in the opposite one."""
    database = create_engine(settings.resolved_database_url())
    log = open_log(database)
    connections = ConnectionManager(
        keepalive_seconds=settings.keepalive_seconds,
        silence_close_seconds=settings.silence_close_seconds,
        lagging_close_seconds=settings.lagging_close_seconds,
    )
    try:
        async with (
            GroupCommit(
                log, max_pending_bytes=settings.max_uncommitted_bytes, close_seconds=_COMMIT_SECONDS
            ) as commits,
            RoomManager(
                log,
                commits,
                linger_seconds=settings.room_linger_seconds,
                max_held_bytes=settings.max_held_bytes,
                now_seconds=time.time,
                is_recovering=marker.ended_badly,
            ) as rooms,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(connections.run)
            tasks.start_soon(watch_event_loop, settings.engine_call_seconds)
            yield YjsEndpoint(
                settings, tokens, UserDirectory(database), rooms, connections, commits, time.time
            )
            tasks.cancel_scope.cancel()
        if rooms.has_opened or not marker.ended_badly:  # else whoever holds what was lost has not come yet
            marker.clear()
    finally:
        marker.close()
        with anyio.move_on_after(_CLOSE_LOG_SECONDS, shield=True):
            await log.close()


class _Deferred:
    """A route whose endpoint is made when the server starts, since it belongs to the server's event loop."""

    def __init__(self) -> None:
        self.target: Callable[[WebSocket], Awaitable[None]]

    async def __call__(self, websocket: WebSocket) -> None:
        await self.target(websocket)
