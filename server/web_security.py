"""What the server tells browsers: who else may call it (CORS), and what its own pages may not do."""

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.limits.bodies import JsonBodyLimit
from server.limits.gate import Gate
from server.limits.requests import RequestLimits, answer_too_many
from server.limits.too_many import TooMany
from server.origins import OriginPolicy
from server.settings import Settings

DOCS_PATH = "/api/docs"

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HSTS = "max-age=31536000"
_COMMON_POLICY = "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
_POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' https: data:; "
    f"style-src 'self' 'unsafe-inline'; {_COMMON_POLICY}"  # CodeMirror makes styles
)
_SWAGGER = "https://cdn.jsdelivr.net"
_DOCS_POLICY = (
    f"default-src 'self'; script-src 'self' 'unsafe-inline' {_SWAGGER}; "
    f"style-src 'self' 'unsafe-inline' {_SWAGGER}; img-src 'self' https: data:; {_COMMON_POLICY}"
)
_LOOPBACK_PAGE = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"


def add_web_security(app: FastAPI, settings: Settings, gate: Gate) -> OriginPolicy:
    """Add all of it, and the limits of requests; CORS outermost, so that pages can read a refusal too.

    Returns the policy that WebSockets need. Raises ValueError for settings that do not say origins.
    """
    policy = OriginPolicy(settings.allowed_origins, dev=settings.dev)
    app.add_exception_handler(TooMany, answer_too_many)
    app.add_middleware(JsonBodyLimit, max_bytes=settings.max_json_bytes)
    app.add_middleware(RequestLimits, gate=gate)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=sorted(map(str, policy.allowed)),
        allow_origin_regex=_LOOPBACK_PAGE if settings.dev else None,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match"],
        expose_headers=["ETag", "Retry-After"],
    )
    return policy


class SecurityHeaders:
    """ASGI middleware: the headers on every HTTP answer, that to a failure as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                _add_headers(scope, MutableHeaders(scope=message))
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if not has_begun:
                failure = PlainTextResponse("Internal Server Error", status_code=500)
                await failure(scope, receive, send_with_headers)
            raise


def _add_headers(scope: Scope, headers: MutableHeaders) -> None:
    path: str = scope["path"]
    headers.update(_HEADERS)
    is_docs = path == DOCS_PATH or path.startswith(f"{DOCS_PATH}/")
    headers["Content-Security-Policy"] = _DOCS_POLICY if is_docs else _POLICY
    if path.startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")
    if scope["scheme"] == "https":
        headers["Strict-Transport-Security"] = _HSTS
