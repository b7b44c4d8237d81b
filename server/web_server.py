"""uvicorn with our protocol classes: the one place that configures it."""

from fastapi import FastAPI
from uvicorn import Config

from server.settings import Settings
from server.transport.http_protocol import http_protocol
from server.transport.picows_protocol import websocket_protocol

LISTEN_BACKLOG = 4096
"""A thousand clients come back at once after a restart; Node's 511 dropped half of them (bench)."""

_CLOSE_SECONDS, _SHUTDOWN_SECONDS = 3, 4
"""A socket waits for the answer to its close frame; the server, a little longer, for all of them."""


def uvicorn_config(app: FastAPI, settings: Settings) -> Config:
    """How the server runs. No access log: a request line may hold a token."""
    return Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=http_protocol(
            handshake_timeout_seconds=settings.handshake_timeout_seconds,
            max_header_bytes=settings.max_header_bytes,
        ),
        ws=websocket_protocol(close_timeout_seconds=_CLOSE_SECONDS),
        lifespan="on",
        backlog=LISTEN_BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
