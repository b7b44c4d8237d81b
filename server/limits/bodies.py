"""ASGI middleware: how large a request's body may be, and how long it may take."""

import asyncio
from contextlib import suppress
from typing import NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api_errors import ErrorCode, error_response

COPIES_PREFIX = "/api/copies/"
"""Bodies there are whole documents; their route measures them itself."""

BODY_SECONDS = 30.0
"""Longest time in which a body must be there; of a document, its next piece."""


class JsonBodyLimit:
    """Answers 413 as soon as more has come than may be, 408 if it does not come. Trusts no Content-Length."""

    def __init__(self, app: ASGIApp, max_bytes: int, body_seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        max_bytes = None if scope["path"].startswith(COPIES_PREFIX) else self._max_bytes
        body = _Body(receive, send, max_bytes, self._body_seconds)
        with suppress(_Refused):  # the app lets it through, or makes an answer of it that nobody gets
            await self._app(scope, body.receive, body.send)
        if body.refused is not None and not body.is_answered:
            await body.refused(scope, receive, send)


class _Refused(Exception):
    """Raised where the app reads the body."""


class _Body:
    """Of one request: counts what the app reads, and keeps back what it answers to a body that was refused.

    Without `max_bytes` it may be of any size, and go on for as long as something of it comes every `body_seconds`.
    """

    def __init__(self, receive: Receive, send: Send, max_bytes: int | None, body_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._body_seconds = body_seconds
        self._deadline = asyncio.get_running_loop().time() + body_seconds
        self._received_bytes = 0
        self._is_whole = False
        self.refused: ASGIApp | None = None
        self.is_answered = False

    async def receive(self) -> Message:
        if self._is_whole:  # what comes now is that the client has left
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self._refuse(ErrorCode.TIMEOUT, "the body did not come in time", {"Connection": "close"})
        piece_bytes = len(message.get("body", b""))
        self._received_bytes += piece_bytes
        if self._max_bytes is None:
            if piece_bytes:
                self._deadline = asyncio.get_running_loop().time() + self._body_seconds
        elif self._received_bytes > self._max_bytes:
            self._refuse(ErrorCode.TOO_LARGE, f"more than {self._max_bytes} bytes (max_json_bytes)")
        self._is_whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self.refused is None:
            self.is_answered = True
            await self._send(message)

    def _refuse(self, code: ErrorCode, reason: str, headers: dict[str, str] | None = None) -> NoReturn:
        self.refused = error_response(code, reason, headers)
        raise _Refused(reason)
