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
    """Answers 429 beyond the limits; lets WebSockets pass.

    A token that is answered 401 counts as refused; of an address that has had too many of them, it is answered 429.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == HEALTH_PATH:
            await self._app(scope, receive, send)
            return
        address = address_of(scope)
        try:
            self._gate.check_request(address)
        except TooMany as refusal:
            await rate_limited(refusal)(scope, receive, send)
            return
        if "authorization" not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        is_over = False

        async def watch(message: Message) -> None:
            nonlocal is_over
            starts = message["type"] == "http.response.start"
            if starts and message["status"] == ErrorCode.UNAUTHORIZED.status:
                is_over = self._gate.note_refused(address)
            if not is_over:
                await send(message)
            elif starts:
                await rate_limited(self._gate.refused_too_often(address))(scope, receive, send)

        await self._app(scope, receive, watch)


def rate_limited(refusal: TooMany) -> Response:
    """429, and when to come back."""
    headers = {"Retry-After": str(max(1, ceil(refusal.wait_seconds)))}
    return error_response(ErrorCode.RATE_LIMITED, str(refusal), headers)


async def answer_too_many(request: Request, error: Exception) -> Response:
    """The handler for TooMany from a route."""
    assert isinstance(error, TooMany)
    return rate_limited(error)
