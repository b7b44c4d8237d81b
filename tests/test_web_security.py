"""What pages of other origins may do, what browsers are told, and which requests are too many or too large."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from server.limits.bodies import JsonBodyLimit
from server.limits.gate import Gate
from server.limits.requests import RequestLimits
from server.origins import Origin, OriginPolicy
from server.settings import Settings
from server.web_security import SecurityHeaders, add_web_security
from tests.limits.clock import Clock

APP = "https://app.example"
MAX_BYTES = 1000


# Origins


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example:443", "https://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("https://app.example.", "https://app.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("tauri://localhost", "tauri://localhost"),
    ],
)
def test_an_origin_is_written_as_browsers_do(text: str, written: str) -> None:
    assert str(Origin.parse(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "app.example",
        "*",
        "https://*.app.example",
        "https://",
        "https://app.example/",
        "https://app.example/path",
        "https://user@app.example",
        "https://app.example?x",
        "https://app.example#x",
        "https://app.example:",
        "https://app.example:x",
        "https://app.example:65536",
        "https://app.example:443:443",
        "https://app.example https://evil.example",
        "https://app.example\n",
        "https://app example",
        "https://[::1",
        "https://.",
        "https://xn--\udcff.example",
        "https://☃︎‍.example",
    ],
)
def test_what_is_no_origin_is_not_taken_for_one(text: str) -> None:
    assert Origin.parse(text) is None
    with pytest.raises(ValueError, match="COSTUDIO_ALLOWED_ORIGINS"):
        OriginPolicy([text], dev=False)
    assert not OriginPolicy([], dev=False).allows(text, "app.example", "https")


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (None, "studio.example", "ws"),
        (None, "", "ws"),
        ("https://studio.example", "studio.example", "wss"),
        ("https://studio.example", "studio.example:443", "https"),
        ("https://studio.example:8443", "studio.example:8443", "wss"),
        ("http://studio.example", "STUDIO.example:80", "ws"),
        ("https://studio.example", "studio.example.", "wss"),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]:8000", "ws"),
        (APP, "studio.example", "ws"),
        (f"{APP}:443", "studio.example", "wss"),
    ],
)
def test_these_may_connect(origin: str | None, host: str, scheme: str) -> None:
    assert OriginPolicy([APP], dev=False).allows(origin, host, scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("https://evil.example", "studio.example", "wss"),
        ("null", "studio.example", "wss"),
        ("", "studio.example", "wss"),
        (f"{APP}.evil.example", "studio.example", "wss"),
        ("https://evil-app.example", "studio.example", "wss"),
        ("https://evil.app.example", "studio.example", "wss"),
        ("http://app.example", "studio.example", "wss"),
        (f"{APP}:8443", "studio.example", "wss"),
        ("https://app.example@evil.example", "studio.example", "wss"),
        ("http://studio.example", "studio.example", "wss"),
        ("https://studio.example:8443", "studio.example", "wss"),
        ("https://studio.example", "studio.example:8443", "wss"),
        ("https://studio.example", "studio.example@evil.example", "wss"),
        ("https://studio.example", "", "wss"),
        ("http://localhost:5173", "studio.example", "ws"),
        ("http://localhost:5173", "localhost:8000", "ws"),
        ("https://stud\u0456o.example", "studio.example", "wss"),
    ],
)
def test_these_may_not(origin: str, host: str, scheme: str) -> None:
    assert not OriginPolicy([APP], dev=False).allows(origin, host, scheme)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "localhost.:8000"])
@pytest.mark.parametrize("page", ["http://localhost:5173", "http://127.0.0.1:8000", "https://[::1]", APP])
def test_in_development_every_page_of_this_machine_may(host: str, page: str) -> None:
    assert OriginPolicy([APP], dev=True).allows(page, host, "ws")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://rebound.example:8000", "rebound.example:8000"),
        ("http://localhost:8000", "rebound.example:8000"),
        (APP, "rebound.example:8000"),
        ("http://rebound.example:8000", "localhost:8000"),
        ("http://localhost.evil.example", "localhost:8000"),
        ("http://127.0.0.1.evil.example", "localhost:8000"),
    ],
)
def test_in_development_a_name_that_resolves_to_this_machine_may_not(origin: str, host: str) -> None:
    assert not OriginPolicy([APP], dev=True).allows(origin, host, "ws")


def handshake(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "websocket", "scheme": "ws", "headers": [(b"host", b"studio.example"), *headers]}


def test_a_handshake_is_refused_with_a_reason() -> None:
    policy = OriginPolicy([APP], dev=False)
    assert policy.refusal(handshake()) is None
    assert policy.refusal(handshake((b"origin", APP.encode()))) is None
    reason = policy.refusal(handshake((b"origin", b"https://evil.example")))
    assert reason is not None
    assert "https://evil.example" in reason
    assert "allowed_origins" in reason


@pytest.mark.parametrize("twice", [(b"origin", APP.encode()), (b"host", b"app.example")])
def test_a_handshake_that_says_it_twice_is_refused(twice: tuple[bytes, bytes]) -> None:
    policy = OriginPolicy([APP], dev=False)
    assert policy.refusal(handshake((b"origin", APP.encode()))) is None
    assert policy.refusal(handshake((b"origin", APP.encode()), twice)) is not None


# Over HTTP


def make_app(clock: Clock | None = None, **options: Any) -> FastAPI:
    """Routes of every kind, behind all of it."""
    settings = Settings(max_json_bytes=MAX_BYTES, allowed_origins=[APP], **options)
    gate = Gate(settings, clock or Clock())
    app = FastAPI(docs_url="/api/docs", openapi_url="/api/openapi.json", redoc_url=None)

    @app.post("/api/json")
    async def json(body: Any = Body()) -> int:  # noqa: B008 - as FastAPI wants it
        return len(body)

    @app.post("/api/raw")
    @app.put("/api/copies/a")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/api/answers-first")
    async def answers_first(request: Request) -> Response:
        raise HTTPException(401)

    @app.get("/api/health")
    @app.get("/api/thing")
    @app.get("/")
    async def get() -> str:
        return "here"

    @app.get("/api/cached")
    async def cached() -> Response:
        return Response("x", headers={"Cache-Control": "max-age=60", "ETag": '"1"'})

    @app.get("/api/denied")
    async def denied() -> Response:
        return JSONResponse({}, status_code=401)

    @app.get("/api/user/{user_id}")
    async def user(user_id: int) -> str:
        gate.check_user(user_id)
        return "here"

    @app.get("/api/broken")
    async def broken() -> None:
        raise RuntimeError("on purpose")

    add_web_security(app, settings, gate)
    return app


@asynccontextmanager
async def http_of(app: Any, address: str = "192.0.2.1", **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=(address, 1), raise_app_exceptions=False)
    options.setdefault("base_url", "http://studio.example")
    async with httpx.AsyncClient(verify=False, transport=transport, **options) as http:
        yield http


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_of(make_app()) as http:
        yield http


def assert_error(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status
    error = response.json()["error"]
    assert response.json() == {"error": {"code": code, "reason": error["reason"]}}
    return str(error["reason"])


@pytest.mark.parametrize("path", ["/", "/api/thing", "/api/nothing", "/nothing", "/api/broken", "/api/docs"])
async def test_every_answer_has_the_security_headers(http: httpx.AsyncClient, path: str) -> None:
    headers = (await http.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"} <= {
        *policy
    }
    assert "Strict-Transport-Security" not in headers


async def test_scripts_come_from_this_server_alone_but_on_the_page_of_the_api(
    http: httpx.AsyncClient,
) -> None:
    page = (await http.get("/")).headers["Content-Security-Policy"]
    docs = (await http.get("/api/docs")).headers["Content-Security-Policy"]
    assert "script-src" not in page
    assert "unsafe-eval" not in page + docs
    assert "script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net" in docs


async def test_the_api_is_not_cached_unless_it_says_so(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/thing")).headers["Cache-Control"] == "no-store"
    assert (await http.get("/api/cached")).headers["Cache-Control"] == "max-age=60"
    assert "Cache-Control" not in (await http.get("/")).headers


async def test_over_https_browsers_are_told_to_stay_there() -> None:
    async with http_of(make_app(), base_url="https://studio.example") as http:
        assert (await http.get("/")).headers["Strict-Transport-Security"].startswith("max-age=")


async def test_an_allowed_page_may_ask_with_a_token(http: httpx.AsyncClient) -> None:
    asked = {
        "Origin": APP,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    preflight = await http.options("/api/thing", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == APP
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    response = await http.get("/api/cached", headers={"Origin": APP})
    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert {"ETag", "Retry-After"} <= {*response.headers["Access-Control-Expose-Headers"].split(", ")}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{APP}.evil.example", "http://localhost:1"]
)
async def test_another_page_reads_nothing(http: httpx.AsyncClient, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        response = await http.request(method, "/api/thing", headers=headers)
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1", "http://[::1]:1"])
async def test_in_development_pages_of_this_machine_may_ask(origin: str) -> None:
    async with http_of(make_app(dev=True)) as http:
        response = await http.get("/api/thing", headers={"Origin": origin})
        assert response.headers["Access-Control-Allow-Origin"] == origin
        evil = await http.get("/api/thing", headers={"Origin": f"{origin}.evil.example"})
        assert "Access-Control-Allow-Origin" not in evil.headers


async def test_a_page_can_read_every_refusal() -> None:
    async with http_of(make_app(max_requests_per_minute_per_address=3), headers={"Origin": APP}) as http:
        answers = [
            await http.get("/api/broken"),
            await http.get("/api/nothing"),
            await http.post("/api/json", content=bytes(MAX_BYTES + 1)),
            await http.get("/api/thing"),
        ]
    assert [answer.status_code for answer in answers] == [500, 404, 413, 429]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


# Requests


async def test_beyond_the_requests_of_an_address_it_waits() -> None:
    clock = Clock()
    app = make_app(clock, max_requests_per_minute_per_address=3)
    async with http_of(app) as http, http_of(app, "192.0.2.2") as other:
        assert [(await http.get("/api/thing")).status_code for _ in range(3)] == [200] * 3
        clock.seconds += 12.5
        refused = await http.get("/")
        assert "(max_requests_per_minute_per_address)" in assert_error(refused, 429, "rate_limited")
        assert refused.headers["Retry-After"] == "48"
        assert (await other.get("/api/thing")).status_code == 200
        clock.seconds += 48
        assert (await http.get("/api/thing")).status_code == 200


async def test_beyond_the_requests_of_a_user_it_waits_wherever_it_is() -> None:
    app = make_app(max_requests_per_minute_per_user=2)
    async with http_of(app) as http, http_of(app, "192.0.2.2") as other:
        assert (await http.get("/api/user/1")).status_code == 200
        assert (await other.get("/api/user/1")).status_code == 200
        refused = await http.get("/api/user/1")
        assert "(max_requests_per_minute_per_user)" in assert_error(refused, 429, "rate_limited")
        assert refused.headers["Retry-After"] == "60"
        assert (await http.get("/api/user/2")).status_code == 200


async def test_health_is_never_limited() -> None:
    async with http_of(make_app(max_requests_per_minute_per_address=1)) as http:
        assert {(await http.get("/api/health")).status_code for _ in range(10)} == {200}


async def test_after_too_many_refused_tokens_the_next_one_waits_and_a_good_one_passes() -> None:
    clock = Clock()
    app = make_app(clock, max_failures_per_minute_per_address=3)
    token = {"Authorization": "Bearer guess"}
    async with http_of(app) as http, http_of(app, "192.0.2.2") as other:
        for _ in range(5):
            assert (await http.get("/api/denied")).status_code == 401
        for _ in range(3):
            assert (await http.get("/api/denied", headers=token)).status_code == 401
        clock.seconds += 12.5
        refused = await http.get("/api/denied", headers=token)
        assert "(max_failures_per_minute_per_address)" in assert_error(refused, 429, "rate_limited")
        assert refused.headers["Retry-After"] == "48"
        assert (await http.get("/api/thing", headers=token)).status_code == 200
        assert (await http.get("/api/denied")).status_code == 401
        assert (await other.get("/api/denied", headers=token)).status_code == 401


async def test_websockets_pass_untouched() -> None:
    passed: list[tuple[Any, ...]] = []

    async def app(*args: Any) -> None:
        passed.append(args)

    gate = Gate(Settings(max_requests_per_minute_per_address=1), Clock())
    scope = {"type": "websocket", "path": "/ws/a", "headers": [(b"authorization", b"Bearer x")]}
    for guarded in (RequestLimits(app, gate), JsonBodyLimit(app, MAX_BYTES), SecurityHeaders(app)):
        for _ in range(3):
            args: Any = (scope, object(), object())
            await guarded(*args)
            assert passed.pop() == args


# Bodies


def pieces(total: int) -> Iterator[bytes]:
    while total > 0:
        yield b"1" * min(total, 100)
        total -= 100


async def in_pieces(total: int) -> AsyncIterator[bytes]:
    """Sent without a Content-Length."""
    for piece in pieces(total):
        yield piece


@pytest.mark.parametrize("path", ["/api/json", "/api/raw"])
async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(http: httpx.AsyncClient, path: str) -> None:
    for content in (b"1" * MAX_BYTES, in_pieces(MAX_BYTES)):
        headers = {"Content-Type": "text/plain"} if path == "/api/json" else {}
        assert (await http.post(path, content=content, headers=headers)).status_code in (200, 422)
    for content in (b"1" * (MAX_BYTES + 1), in_pieces(MAX_BYTES + 1)):
        reason = assert_error(await http.post(path, content=content), 413, "too_large")
        assert "(max_json_bytes)" in reason


async def test_a_content_length_is_not_believed(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/raw", content=in_pieces(5 * MAX_BYTES), headers={"Content-Length": "5"})
    assert_error(response, 413, "too_large")


async def test_an_endless_body_is_read_up_to_the_limit_alone() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 100
            yield b"1" * 100

    async with http_of(make_app()) as http:
        assert_error(await http.post("/api/json", content=endless()), 413, "too_large")
    assert read <= MAX_BYTES + 200


async def test_a_document_may_be_larger(http: httpx.AsyncClient) -> None:
    response = await http.put("/api/copies/a", content=in_pieces(5 * MAX_BYTES))
    assert response.json() == 5 * MAX_BYTES


async def test_a_route_that_does_not_read_answers_as_it_likes(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/answers-first", content=bytes(5 * MAX_BYTES))
    assert response.status_code == 401


async def test_a_body_that_does_not_come_is_answered_408() -> None:
    app = make_app()
    guarded = JsonBodyLimit(app, MAX_BYTES, body_seconds=0.02)

    async def stalls() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.Event().wait()

    async with http_of(guarded) as http:
        response = await http.post("/api/json", content=stalls())
    assert_error(response, 408, "timeout")
    assert response.headers["Connection"] == "close"


async def test_a_document_may_take_its_time_as_long_as_more_of_it_comes() -> None:
    guarded = JsonBodyLimit(make_app(), MAX_BYTES, body_seconds=0.2)

    async def trickles(*, then_stalls: bool) -> AsyncIterator[bytes]:
        for _ in range(6):
            yield b"1"
            await asyncio.sleep(0.05)
        if then_stalls:
            await asyncio.Event().wait()

    async with http_of(guarded) as http:
        assert (await http.put("/api/copies/a", content=trickles(then_stalls=False))).json() == 6
        stalled = await http.put("/api/copies/a", content=trickles(then_stalls=True))
    assert_error(stalled, 408, "timeout")
