"""Where every WebSocket comes in: what holds for all of them, before anybody looks at whose they are."""

import math
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from server.limits.addresses import address_of
from server.limits.gate import Gate
from server.limits.too_many import TooMany
from server.origins import OriginPolicy

Endpoint = Callable[[WebSocket, str], Awaitable[None]]
"""Serves a WebSocket; the text is the path behind its prefix."""


class Doorway:
    """An ASGI application for WebSockets: a page of another origin, or one too many, never gets past the handshake.

    `endpoints`: path prefix -> who serves what begins with it.
    """

    def __init__(self, origins: OriginPolicy, gate: Gate, endpoints: Mapping[str, Endpoint]) -> None:
        self._origins = origins
        self._gate = gate
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        reason = self._origins.refusal(scope)
        if reason is not None:
            await websocket.send_denial_response(PlainTextResponse(reason, 403))
            return
        try:
            self._gate.check_handshake(address_of(scope))
        except TooMany as error:
            headers = {"Retry-After": str(math.ceil(error.wait_seconds))}
            await websocket.send_denial_response(PlainTextResponse(str(error), 429, headers))
            return
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        for prefix, endpoint in self._endpoints.items():
            if path.startswith(prefix):
                await endpoint(websocket, path.removeprefix(prefix))
                return
        await websocket.send_denial_response(PlainTextResponse("no such path", 404))
