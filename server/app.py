"""`create_app(settings)`: the only place that chooses back ends and wires the parts together."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, ParamSpec

import anyio
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from auth.verifying import TokenVerifier
from crdt_store.compaction import CompactionPolicy, Compactor
from crdt_store.document_versions import DocumentVersions
from crdt_store.engine import Database, create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.held_edits import HeldEdits
from crdt_store.messages import Messages
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog
from crdt_store.stale_updates import StaleUpdates
from crdt_store.update_log import DocumentDamaged, UpdateLog
from server.access.doorkeeper import Doorkeeper
from server.access.stores import Stores
from server.api import add_api, now_ms
from server.chat.carrying import Carrying
from server.chat.chats import Chats
from server.chat.marks import Marks
from server.chat.receiving import Receiving
from server.chat.rollover import PATIENCE, Rollover, SegmentSize
from server.chat.speaking import Speaking
from server.documents.service import Documents
from server.engine.condenser import Condenser
from server.engine.watchdog import watch_event_loop
from server.events.context import Context
from server.events.endpoint import EventsEndpoint
from server.events.event_texts import EventTexts
from server.events.handlers import EventHandlers
from server.events.kept_events import KeptEvents
from server.events.remembered_answers import RememberedAnswers
from server.files.change_news import ChangeNews
from server.files.check_later import Returns
from server.files.holding import HeldBack
from server.files.json_writing import FileSpeaking
from server.files.parts import Files
from server.files.versions import Versions
from server.history.desk import History
from server.history.retention import Retention, retention_policy
from server.history.workshop import Workshop
from server.jobs.worker import JobPolicy
from server.limits.connections import ConnectionCounts
from server.limits.gate import Gate
from server.locks.access import is_member_to_write
from server.locks.parts import LockParts
from server.news.hub import Hub
from server.notifications.parts import NotificationParts
from server.pages import add_pages
from server.presence.directory import PresenceDirectory
from server.presence.node_id import node_id
from server.presence.parts import PresenceParts
from server.rooms.limits import RoomLimits
from server.rooms.memory_budget import MemoryBudget, default_process_bytes
from server.rooms.names import RoomName, file_name, parse_room_name
from server.rooms.room_manager import RoomManager
from server.run_marker import RunMarker
from server.settings import Settings, SettingsError
from server.token_settings import token_verifier
from server.transport.connection_manager import ConnectionManager
from server.transport.doorway import Doorway
from server.transport.hocuspocus_endpoint import HocuspocusEndpoint
from server.transport.live_access import LiveAccess
from server.transport.yjs_endpoint import YjsEndpoint
from server.tree.desk import TreeDesk
from server.tree.parts import FileLocks, TreeParts
from server.tree.trees import Trees
from server.web_security import add_web_security

_COMMIT_SECONDS, _CLOSE_LOG_SECONDS = 4.0, 1.5
"""How long a stop waits for a disk that stands still; what is not stored then was not acknowledged."""

P = ParamSpec("P")
logger = logging.getLogger(__name__)


class CostudioApp(FastAPI):
    """FastAPI for HTTP; WebSockets have a doorway of their own, and pass none of the layers that HTTP needs."""

    doorway: Doorway | None = None
    """While the server serves."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self.doorway is not None:
            await self.doorway(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    settings: Settings, *, open_log: Callable[[Database], UpdateLog] = SqlUpdateLog
) -> CostudioApp:
    """The ASGI application; its database is migrated. `open_log` makes the log that documents are kept in.

    Raises SettingsError for settings that must not serve, UnknownSchema and LogUnavailable of the database.
    """
    settings.check_servable()
    if settings.redis_url is not None:
        logger.warning("REDIS_URL is set, but this version runs as one node and does not use it")
    verifier = token_verifier(settings)
    gate = Gate(settings, time.monotonic)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with _serving(settings, verifier, gate, open_log, marker) as parts:
            app.doorway = Doorway(
                origins,
                gate,
                {
                    "/ws/": parts.serve_yjs,
                    "/events": parts.serve_events,
                    "/hocuspocus": parts.serve_hocuspocus,
                },
            )
            app.state.rooms = parts.rooms
            app.state.documents = parts.documents
            app.state.doorkeeper = parts.doorkeeper
            app.state.messages = parts.messages
            app.state.chats = parts.marks
            app.state.gate = gate
            app.state.jobs = parts.notifications.jobs
            app.state.wake_worker = parts.notifications.worker.wake
            app.state.notifications = parts.notifications.desk
            app.state.presence = parts.presence
            app.state.locks = parts.locks.service
            app.state.files = parts.files
            app.state.tree = parts.tree
            app.state.history = parts.history
            yield
            app.doorway = None

    app = CostudioApp(
        title="Costudio",
        lifespan=lifespan,
        docs_url="/api/docs",
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        openapi_url="/api/openapi.json",
    )
    try:
        origins = add_web_security(app, settings, gate)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    add_api(app, settings)
    add_pages(app, settings)
    with ExitStack() as on_failure:
        marker = RunMarker(settings.data_dir)
        on_failure.callback(marker.close)
        try:
            migrate(settings.resolved_database_url())
        except ValueError as error:
            raise SettingsError(f"DATABASE_URL: {error}") from error
        on_failure.pop_all()
    return app


class _Parts(NamedTuple):
    """What the routes reach while the server serves."""

    rooms: RoomManager
    serve_yjs: YjsEndpoint
    serve_hocuspocus: HocuspocusEndpoint
    documents: Documents
    serve_events: EventsEndpoint
    doorkeeper: Doorkeeper
    messages: Messages
    marks: Marks
    notifications: NotificationParts
    presence: PresenceDirectory
    locks: LockParts
    files: Files
    tree: TreeDesk
    history: History


@asynccontextmanager
async def _serving(
    settings: Settings,
    verifier: TokenVerifier,
    gate: Gate,
    open_log: Callable[[Database], UpdateLog],
    marker: RunMarker,
) -> AsyncIterator[_Parts]:
    """Everything that runs while the server does, started in order and stopped in the opposite one."""
    database = create_engine(settings.resolved_database_url())
    log = open_log(database)
    doorkeeper = Doorkeeper(settings, verifier, Stores.on(database), now_seconds=time.time)
    await _warm_up(database, log)
    await doorkeeper.load()
    if settings.integer_subject_issuers:
        await doorkeeper.stores.users.reserve_low_ids()
    stale_updates = StaleUpdates(database, max_bytes=settings.max_stale_bytes)
    condenser = Condenser(
        job_seconds=settings.compaction_job_seconds, memory_bytes=settings.compaction_memory_bytes
    )
    this_node = node_id(settings.data_dir)
    presence = PresenceParts(
        database,
        doorkeeper,
        node_id=this_node,
        grace_seconds=settings.presence_grace_seconds,
        now_seconds=time.monotonic,
        now_ms=now_ms,
    )
    await presence.begin()
    connections = ConnectionManager(
        keepalive_seconds=settings.keepalive_seconds,
        silence_close_seconds=settings.silence_close_seconds,
        lagging_close_seconds=settings.lagging_close_seconds,
        throttled_close_seconds=settings.throttled_close_seconds,
        leeway_seconds=settings.jwt_leeway_seconds,
        now_seconds=time.time,
        presence=presence.keeper,
    )
    live_access = LiveAccess(connections, doorkeeper)
    counts = ConnectionCounts(settings)
    hub, messages, beside = Hub(), Messages(database), asyncio.TaskGroup()
    chats = Chats(database, hub, max_events=settings.max_room_events, now_ms=now_ms, start=_starter(beside))
    marks = Marks(chats, messages, hub, now_ms)
    receiving = Receiving(chats, marks, messages, hub)
    notifications = NotificationParts(
        database,
        hub,
        _job_policy(settings),
        by_membership=not settings.grants_are_authority,
        now_ms=now_ms,
        random=random.random,
    )
    locks = LockParts(
        database,
        hub,
        settings,
        node_id=this_node,
        connected=lambda: {each.user_id for each in connections.of_users(None)},
        wake=notifications.worker.wake,
        now_ms=now_ms,
    )
    await locks.service.begin()
    trees = Trees(
        database,
        log,
        locks.book,
        hub,
        project_of=partial(_project_of, doorkeeper),
        start=chats.start,
        now_ms=now_ms,
        new_batch=lambda: secrets.token_hex(8),
    )
    await trees.begin()
    versions = Versions(log)
    file_news = ChangeNews(
        log,
        versions,
        hub,
        is_heard=hub.is_heard,
        project_of=partial(_project_of, doorkeeper),
        run_of=doorkeeper.stores.runs.find,
        now_ms=now_ms,
        path_of=trees.path_of,
    )
    held_back = HeldBack(
        HeldEdits(
            database,
            max_bytes=settings.max_held_edits_bytes,
            max_bytes_per_user=settings.max_held_edits_bytes_per_user,
        ),
        FileLocks(locks.book, trees.book),
        hub,
        start=chats.start,
        now_ms=now_ms,
    )
    returns = Returns(now_ms)
    file_speaking = FileSpeaking(doorkeeper)
    handlers = EventHandlers(
        message=Speaking(chats, messages, gate, now_ms).message,
        message_delivered=marks.delivered,
        message_read=marks.read,
        file_update=file_speaking.file_update,
    )
    try:
        async with (
            beside,
            Compactor(log, condenser.condense, _compaction_policy(settings)) as compactor,
            GroupCommit(
                log,
                max_pending_bytes=settings.max_uncommitted_bytes,
                max_window_seconds=settings.commit_window_seconds,
                close_seconds=_COMMIT_SECONDS,
                on_stored=notifications.after(
                    _each(compactor.stored, file_news.stored, trees.stored),
                ),
            ) as commits,
            RoomManager(
                log,
                commits,
                compactor,
                stale_updates,
                linger_seconds=settings.room_linger_seconds,
                limits=RoomLimits(
                    max_document_bytes=settings.max_document_bytes,
                    max_update_structs=settings.max_update_structs,
                    max_held_bytes=settings.max_held_bytes,
                    max_window_seconds=settings.broadcast_window_seconds,
                ),
                rules_of=lambda name: chats.rules_of(name) or trees.rules_of(name),
                on_opened=_each(chats.opened, trees.opened, presence.keeper.observe),
                on_emptied=chats.emptied,
                on_stale=chats.take_over,
                holding=held_back,
                on_return=returns,
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
            chats.rooms = rooms
            presence.keeper.rooms = rooms.rooms
            locks.rooms_at = trees.rooms_at
            chats.carrying = Carrying(
                database,
                rooms,
                commits,
                chats.recording,
                start=chats.start,
                max_messages=PATIENCE * settings.chat_segment_messages,
            )
            chats.rollover = Rollover(
                SegmentSize(settings.chat_segment_messages, settings.chat_segment_bytes),
                log,
                messages,
                rooms,
                commits,
                compactor,
                chats.rules_of,
                start=chats.start,
                now_ms=now_ms,
                random_client_id=_random_client_id,
            )
            events = Context(
                settings,
                doorkeeper,
                rooms,
                gate,
                hub,
                handlers,
                KeptEvents(database),
                messages,
                notifications.desk.notifications.unread,
                RememberedAnswers(),
                presence.keeper,
                presence.world,
                EventTexts(),
                time.monotonic,
                now_ms,
                _random_client_id,
            )
            files = Files(
                database,
                log,
                versions,
                rooms,
                commits,
                hub,
                held_back,
                stale_updates,
                returns,
                _job_policy(settings),
                may_write=partial(_may_write, settings, doorkeeper),
                live_seconds=settings.conflict_after_seconds,
                max_conflict_characters=settings.max_conflict_characters,
                now_ms=now_ms,
                random=random.random,
                wake=notifications.worker.wake,
            )
            file_speaking.files = files
            documents = Documents(
                log,
                rooms,
                commits,
                compactor,
                condenser.condense,
                stale_updates,
                lock_on=held_back.lock_on,
                now_seconds=time.time,
                random_client_id=_random_client_id,
            )
            tree = TreeParts(
                trees,
                rooms,
                commits,
                documents,
                locks.service,
                create_text=lambda workspace_id, file_id, author, text: files.create(
                    file_name(workspace_id, file_id), author, text
                ),
                on_moved=held_back.find_unlocked,
                start=chats.start,
                trash_days=settings.trash_days,
                now_ms=now_ms,
            )
            locks.book.subscribe(held_back.changed)
            chats.start(held_back.find_unlocked())
            tasks.start_soon(connections.run)
            tasks.start_soon(live_access.run)
            tasks.start_soon(notifications.worker.run)
            tasks.start_soon(presence.run)
            tasks.start_soon(locks.service.run)
            tasks.start_soon(file_news.run)
            tasks.start_soon(files.run)
            tasks.start_soon(tree.run)
            retention = Retention(
                database,
                retention_policy(settings),
                period_seconds=settings.history_thinning_seconds,
                now_ms=now_ms,
            )
            tasks.start_soon(retention.run)
            tasks.start_soon(watch_event_loop, settings.engine_call_seconds)
            yield _Parts(
                rooms,
                YjsEndpoint(
                    settings,
                    doorkeeper,
                    rooms,
                    connections,
                    commits,
                    gate,
                    counts,
                    live_access,
                    receiving,
                ),
                HocuspocusEndpoint(
                    settings,
                    doorkeeper,
                    rooms,
                    connections,
                    commits,
                    gate,
                    counts,
                    live_access,
                    receiving,
                ),
                documents,
                EventsEndpoint(events, connections, counts),
                doorkeeper,
                messages,
                marks,
                notifications,
                presence.directory,
                locks,
                files,
                tree.desk,
                History(
                    log,
                    DocumentVersions(database, max_versions=settings.max_versions_per_document),
                    Workshop(seconds=settings.history_seconds, memory_bytes=settings.history_memory_bytes),
                    rooms,
                    commits,
                    lock_on=held_back.lock_on,
                    now_ms=now_ms,
                    random_client_id=_random_client_id,
                ),
            )
            tasks.cancel_scope.cancel()
            with anyio.move_on_after(_CLOSE_LOG_SECONDS, shield=True):  # from that cancellation
                await presence.close()
        if rooms.has_opened or not marker.ended_badly:  # else whoever holds what was lost has not come yet
            marker.clear()
    finally:
        marker.close()
        with anyio.CancelScope(shield=True):
            await condenser.aclose()
        with anyio.move_on_after(_CLOSE_LOG_SECONDS, shield=True):
            await log.close()


def _starter(group: asyncio.TaskGroup) -> Callable[[Coroutine[Any, Any, None]], object]:
    """What runs tasks in the group, of which none can end the others."""

    async def run(task: Coroutine[Any, Any, None]) -> None:
        try:
            await task
        except Exception:
            logger.exception("a task failed")

    return lambda task: group.create_task(run(task))


async def _may_write(settings: Settings, doorkeeper: Doorkeeper, name: RoomName, user_id: int) -> bool:
    return settings.grants_are_authority or await is_member_to_write(doorkeeper, user_id, name)


async def _project_of(doorkeeper: Doorkeeper, workspace_id: int) -> int | None:
    room = parse_room_name(f"workspace:{workspace_id}", plain_names_workspace_id=None)
    return (await doorkeeper.place_of(room)).project_id


async def _warm_up(database: Database, log: UpdateLog) -> None:
    """Have connections and statements ready: the first client would wait 50 ms for them. Raises LogUnavailable."""
    await database.write(lambda connection: None)
    with suppress(DocumentDamaged):  # whoever opens it is told
        for name in await log.documents(limit=1):
            last_seq = (await log.head(name)).last_seq
            async for _ in log.read(name, after=last_seq - 1):
                pass


def _each(*callbacks: Callable[P, None]) -> Callable[P, None]:
    def call(*values: P.args, **named: P.kwargs) -> None:
        for callback in callbacks:
            callback(*values, **named)

    return call


def _compaction_policy(settings: Settings) -> CompactionPolicy:
    return CompactionPolicy(
        max_updates=settings.compaction_max_updates,
        max_bytes=settings.compaction_max_bytes,
        max_age_seconds=settings.compaction_max_age_seconds,
        quiet_seconds=settings.compaction_quiet_seconds,
    )


def _job_policy(settings: Settings) -> JobPolicy:
    return JobPolicy(
        attempts=settings.job_attempts,
        lease_seconds=settings.job_lease_seconds,
        poll_seconds=settings.job_poll_seconds,
        retry_seconds=settings.job_retry_seconds,
    )


def _random_client_id() -> int:
    return secrets.randbits(32)
