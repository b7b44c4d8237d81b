"""The HTTP API: the routes of every feature, and how their errors are answered."""

import time

from fastapi import FastAPI

from server.access.routes import add_access_routes
from server.chat.routes import add_chat_routes
from server.documents.routes import add_document_routes
from server.events.routes import add_event_routes
from server.files.routes import add_file_routes
from server.history.routes import add_history_routes
from server.history.run_routes import add_run_routes
from server.jobs.routes import add_job_routes
from server.lfs.routes import add_lfs_routes
from server.limits.routes import add_limit_routes
from server.locks.routes import add_lock_routes
from server.notifications.routes import add_notification_routes
from server.presence.routes import add_presence_routes
from server.projects.routes import add_project_routes
from server.settings import Settings
from server.tree.routes import add_tree_routes


def add_api(app: FastAPI, settings: Settings) -> None:
    """Add the routes; what they reach is in `app.state` while the server serves."""
    key = settings.model_dump_json(exclude={"data_dir", "database_url"})
    made = _made.get(key)
    if made is None:
        made = _made[key] = _make(settings)
    app.router.routes.extend(made.router.routes)
    app.router.responses.update(made.router.responses)
    app.exception_handlers.update(made.exception_handlers)


_made: dict[str, FastAPI] = {}
"""By settings: to make a route takes 3 ms, and tests start a thousand servers with a few kinds of settings."""


def _make(settings: Settings) -> FastAPI:
    app = FastAPI(openapi_url=None)
    add_run_routes(app, settings)  # before those of the history, whose last words they share
    add_history_routes(app, settings)  # before those of documents, whose paths may end like any
    add_document_routes(app, settings)
    add_access_routes(app, settings)
    add_project_routes(app, settings)
    add_limit_routes(app, settings)
    add_event_routes(app)
    add_chat_routes(app)
    add_notification_routes(app)
    add_job_routes(app, now_ms)
    add_presence_routes(app, settings)
    add_file_routes(app, settings)
    add_tree_routes(app, settings)
    add_lock_routes(app, settings)
    add_lfs_routes(app)
    return app


def now_ms() -> int:
    """The wall clock."""
    return int(time.time() * 1000)
