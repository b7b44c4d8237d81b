"""A server in the test's own event loop, so that its parts can be looked at, slowed down and broken."""

import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path

import anyio
import pytest
from fastapi import FastAPI
from uvicorn import Server

from auth.grants import Role
from auth.minting import TokenMinter
from crdt_store.engine import Database
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import UpdateLog
from server.app import create_app
from server.settings import Settings
from server.token_settings import token_minter
from server.web_server import uvicorn_config
from tests.wire.client import WireClient, open_client

SECRET = "a secret for tests, long enough to sign with"
ROOM = "workspace:1/notes.md"


DATABASE = "costudio.db"


@cache
def migrated_database() -> Path:
    """A new database of this process: most of what a server's first start takes is to make one."""
    path = Path(tempfile.mkdtemp()) / DATABASE
    migrate(f"sqlite:///{path}")
    return path


def _give_database(data_dir: Path) -> None:
    """Unless it has one."""
    if not any(data_dir.glob("*.db")):
        shutil.copy(migrated_database(), data_dir / DATABASE)


class RunningServer:
    """A server that listens; clients opened through it are closed with it."""

    def __init__(self, app: FastAPI, url: str, tokens: TokenMinter, clients: AsyncExitStack) -> None:
        self.app = app
        self.url = url
        self.tokens = tokens
        self._clients = clients

    def token(self, user: str = "alice", role: Role = Role.EDITOR, room: str = "*", ttl: float = 60) -> str:
        """A token as `costudio token` makes it."""
        return self.tokens.mint(user, grants={room: role}, now_seconds=time.time(), ttl_seconds=ttl)

    async def client(
        self, user: str = "alice", *, room: str = ROOM, role: Role = Role.EDITOR, token: str | None = None
    ) -> WireClient:
        """A connection as that user."""
        token = self.token(user, role) if token is None else token
        return await self._clients.enter_async_context(open_client(self.url, room, token))


@asynccontextmanager
async def run_server(
    data_dir: Path, *, open_log: Callable[[Database], UpdateLog] = SqlUpdateLog, **options: object
) -> AsyncIterator[RunningServer]:
    """Serve on a free port; `options` are settings."""
    settings = Settings(data_dir=data_dir, port=0, jwt_secret=SECRET, **options)  # type: ignore[arg-type]
    _give_database(data_dir)
    app = create_app(settings, open_log=open_log)
    server = Server(uvicorn_config(app, settings))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        try:
            with anyio.fail_after(20):
                while not server.started:
                    await anyio.sleep(0.005)
            port = server.servers[0].sockets[0].getsockname()[1]
            async with AsyncExitStack() as clients:
                yield RunningServer(app, f"ws://127.0.0.1:{port}", token_minter(settings), clients)
        finally:
            server.should_exit = True


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    """A server with default settings."""
    async with run_server(tmp_path) as running:
        yield running
