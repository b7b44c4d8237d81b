"""ASGI middleware: how many requests an address may make, before anybody looks at them."""

from math import ceil

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api_errors import ErrorCode, error_response
from server.limits.addresses import address_of
from server.limits.gate import Gate
from server.limits.too_many import TooMany

HEALTH_PATH = "/api/health"
"""Monitors ask as often as they like."""


class RequestLimits:
    """Answers 429 beyond the limits; lets WebSockets pass. A token that is answered 401 counts as refused."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == HEALTH_PATH:
            await self._app(scope, receive, send)
            return
        address = address_of(scope)
        has_token = "authorization" in Headers(scope=scope)

        async def watch(message: Message) -> None:
            if (
                message["type"] == "http.response.start"
                and message["status"] == ErrorCode.UNAUTHORIZED.status
            ):
                self._gate.note_refused(address)
            await send(message)

        try:
            self._gate.check_request(address, has_token=has_token)
        except TooMany as refusal:
            await rate_limited(refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, watch if has_token else send)


def rate_limited(refusal: TooMany) -> Response:
    """429, and when to come back."""
    headers = {"Retry-After": str(max(1, ceil(refusal.wait_seconds)))}
    return error_response(ErrorCode.RATE_LIMITED, str(refusal), headers)


async def answer_too_many(request: Request, error: Exception) -> Response:
    """The handler for TooMany from a route."""
    assert isinstance(error, TooMany)
    return rate_limited(error)
