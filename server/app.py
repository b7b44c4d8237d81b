"""`create_app(settings)`: the only place that chooses back ends and wires the parts together."""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import NamedTuple

import anyio
from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from auth.grants import Role
from auth.tokens import TokenIssuer
from crdt_store.compaction import CompactionPolicy, Compactor
from crdt_store.engine import Database, create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog
from crdt_store.stale_updates import StaleUpdates
from crdt_store.update_log import DocumentDamaged, UpdateLog
from crdt_store.users import UserDirectory
from server.documents.routes import add_document_routes
from server.documents.service import Documents
from server.engine.condenser import Condenser
from server.engine.watchdog import watch_event_loop
from server.pages import add_pages
from server.rooms.memory_budget import MemoryBudget, default_process_bytes
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
        async with _serving(settings, tokens, open_log, marker) as parts:
            endpoint.target = parts.serve_yjs
            app.state.documents = parts.documents
            app.state.users = parts.users
            yield

    app = FastAPI(title="Costudio", lifespan=lifespan, docs_url="/api/docs", openapi_url="/api/openapi.json")
    app.router.routes.append(WebSocketRoute("/ws/{room:path}", endpoint.__call__))
    add_document_routes(app, settings, tokens)
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


class _Parts(NamedTuple):
    """What the routes reach while the server serves."""

    serve_yjs: YjsEndpoint
    documents: Documents
    users: UserDirectory


@asynccontextmanager
async def _serving(
    settings: Settings, tokens: TokenIssuer, open_log: Callable[[Database], UpdateLog], marker: RunMarker
) -> AsyncIterator[_Parts]:
    """Everything that runs while the server does, started in order and stopped in the opposite one."""
    database = create_engine(settings.resolved_database_url())
    log = open_log(database)
    users = UserDirectory(database)
    await _warm_up(database, log)
    stale_updates = StaleUpdates(database, max_bytes=settings.max_stale_bytes)
    condenser = Condenser(
        job_seconds=settings.compaction_job_seconds, memory_bytes=settings.compaction_memory_bytes
    )
    connections = ConnectionManager(
        keepalive_seconds=settings.keepalive_seconds,
        silence_close_seconds=settings.silence_close_seconds,
        lagging_close_seconds=settings.lagging_close_seconds,
    )
    try:
        async with (
            Compactor(log, condenser.condense, _compaction_policy(settings)) as compactor,
            GroupCommit(
                log,
                max_pending_bytes=settings.max_uncommitted_bytes,
                max_window_seconds=settings.commit_window_seconds,
                close_seconds=_COMMIT_SECONDS,
                on_stored=compactor.stored,
            ) as commits,
            RoomManager(
                log,
                commits,
                compactor,
                stale_updates,
                linger_seconds=settings.room_linger_seconds,
                max_held_bytes=settings.max_held_bytes,
                max_window_seconds=settings.broadcast_window_seconds,
                now_seconds=time.time,
                is_recovering=marker.ended_badly,
                memory=MemoryBudget(
                    settings.max_empty_rooms_bytes,
                    settings.max_memory_bytes or default_process_bytes(),
                    compactor.stored_bytes,
                ),
            ) as rooms,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(connections.run)
            tasks.start_soon(watch_event_loop, settings.engine_call_seconds)
            yield _Parts(
                YjsEndpoint(settings, tokens, users, rooms, connections, commits, time.time),
                Documents(
                    log,
                    rooms,
                    commits,
                    compactor,
                    condenser.condense,
                    stale_updates,
                    now_seconds=time.time,
                    random_client_id=_random_client_id,
                ),
                users,
            )
            tasks.cancel_scope.cancel()
        if rooms.has_opened or not marker.ended_badly:  # else whoever holds what was lost has not come yet
            marker.clear()
    finally:
        marker.close()
        with anyio.CancelScope(shield=True):
            await condenser.aclose()
        with anyio.move_on_after(_CLOSE_LOG_SECONDS, shield=True):
            await log.close()


async def _warm_up(database: Database, log: UpdateLog) -> None:
    """Have connections and statements ready: the first client would wait 50 ms for them. Raises LogUnavailable."""
    await database.write(lambda connection: None)
    with suppress(DocumentDamaged):  # whoever opens it is told
        for name in await log.documents(limit=1):
            last_seq = (await log.head(name)).last_seq
            async for _ in log.read(name, after=last_seq - 1):
                pass


def _compaction_policy(settings: Settings) -> CompactionPolicy:
    return CompactionPolicy(
        max_updates=settings.compaction_max_updates,
        max_bytes=settings.compaction_max_bytes,
        max_age_seconds=settings.compaction_max_age_seconds,
        quiet_seconds=settings.compaction_quiet_seconds,
    )


def _random_client_id() -> int:
    return secrets.randbits(32)


class _Deferred:
    """A route whose endpoint is made when the server starts, since it belongs to the server's event loop."""

    def __init__(self) -> None:
        self.target: Callable[[WebSocket], Awaitable[None]]

    async def __call__(self, websocket: WebSocket) -> None:
        await self.target(websocket)
