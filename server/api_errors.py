"""The one table of what the HTTP API refuses with. docs/errors.md is tested against it."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

logger = logging.getLogger(__name__)


class ErrorCode(StrEnum):
    """`status`: of the HTTP answer; `meaning` is for people."""

    status: int
    meaning: str

    def __new__(cls, code: str, status: int, meaning: str) -> "ErrorCode":
        member = str.__new__(cls, code)
        member._value_ = code
        member.status = status
        member.meaning = meaning
        return member

    UNAUTHORIZED = "unauthorized", 401, "no token, or one that is not valid"
    FORBIDDEN = "forbidden", 403, "the caller's role may not do this here"
    BUDGET_EXCEEDED = (
        "budget_exceeded",
        403,
        "an agent's run has used up what its token lets it write: details.limit",
    )
    NOT_FOUND = "not_found", 404, "there is no such thing, or the caller has no role in it"
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "this path has no such method"
    TIMEOUT = "timeout", 408, "the request did not come in time"
    UPDATE_INCOMPLETE = "update_incomplete", 409, "the update builds on something that the document has not"
    UPDATE_CONTRADICTS = (
        "update_contradicts",
        409,
        "the update and the document hold different things under the same ids",
    )
    KEPT_BY_RULES = (
        "kept_by_rules",
        409,
        "a chat is its messages, a workspace its files: its document is neither replaced nor deleted",
    )
    NAME_TAKEN = "name_taken", 409, "there is something of this name already"
    LAST_ADMIN = "last_admin", 409, "the project would be left without an admin"
    LOCKED = "locked", 409, "somebody has locked it, or what is above or below it: the details say who"
    PATH_TAKEN = "path_taken", 409, "there is a file or folder of that path already, whatever its case"
    VERSION_UNKNOWN = (
        "version_unknown",
        412,
        "the file has no such version, or exists and was to be created: read it again",
    )
    TOO_LARGE = "too_large", 413, "a body over the size limit"
    MALFORMED_UPDATE = (
        "malformed_update",
        422,
        "the body is not a Yjs update, or not a document's whole state",
    )
    INVALID_PARAMETER = (
        "invalid_parameter",
        422,
        "a parameter, or a part of the body, is missing or not valid: the reason names it",
    )
    VERSION_MISSING = "version_missing", 428, "a change of a file names the version that it changes"
    RATE_LIMITED = "rate_limited", 429, "too many requests: the reason names the limit"
    UNAVAILABLE = "unavailable", 503, "the store or the document cannot answer now: try again"


_RETRY_AFTER_SECONDS = 5
_MAX_REASON_CHARACTERS = 1000  # some quote what the client has sent


class ErrorDetail(BaseModel):
    """The code is for programs; the reason names what was wrong, for people. `details`: by the code."""

    code: ErrorCode
    reason: str
    details: dict[str, Any] | None = None


class ErrorModel(BaseModel):
    """What every refused request is answered with."""

    error: ErrorDetail


class ApiError(Exception):
    """Answered as an ErrorModel."""

    def __init__(self, code: ErrorCode, reason: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.details = details


_OF_STATUS = {
    400: ErrorCode.INVALID_PARAMETER,  # a body that is not UTF-8
    **{
        code.status: code for code in (ErrorCode.FORBIDDEN, ErrorCode.NOT_FOUND, ErrorCode.METHOD_NOT_ALLOWED)
    },
}
"""For what the framework itself raises."""

_Handler = Callable[[Request, Exception], Awaitable[Response]]


def add_error_handlers(
    app: FastAPI, codes: Mapping[type[Exception], ErrorCode], *, internal: tuple[type[Exception], ...] = ()
) -> None:
    """Answer ApiError, what the framework refuses under /api, and these exceptions (with their subclasses).

    `internal`: those whose own words are for the log, not for clients. Call it before the routes are added: the API's
    description then has the ErrorModel with each. Each group of routes may call it for its own.
    """
    app.router.responses["default"] = {"model": ErrorModel, "description": "Refused"}
    app.add_exception_handler(ApiError, _answer_api_error)
    app.add_exception_handler(HTTPException, _answer_framework)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    for kind, code in codes.items():
        app.add_exception_handler(kind, _answer_as(code, is_internal=issubclass(kind, internal)))


def error_response(
    code: ErrorCode,
    reason: str,
    headers: Mapping[str, str] | None = None,
    details: dict[str, Any] | None = None,
) -> JSONResponse:
    """As every refused request is answered."""
    reason = reason[:_MAX_REASON_CHARACTERS].encode(errors="replace").decode()  # JSON can spell half a pair
    body = ErrorModel(error=ErrorDetail(code=code, reason=reason)).model_dump(mode="json", exclude_none=True)
    if details is not None:
        body["error"]["details"] = details
    if code is ErrorCode.UNAVAILABLE:
        headers = {"Retry-After": str(_RETRY_AFTER_SECONDS), **(headers or {})}
    return JSONResponse(body, status_code=code.status, headers=headers)


def _answer_as(code: ErrorCode, *, is_internal: bool) -> _Handler:
    async def answer(request: Request, error: Exception) -> Response:
        if is_internal:
            logger.warning("%s: %s", type(error).__name__, error)
        reason = code.meaning if is_internal else str(error) or code.meaning
        return error_response(code, reason, details=getattr(error, "details", None))

    return answer


async def _answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    headers = {"WWW-Authenticate": "Bearer"} if error.code is ErrorCode.UNAUTHORIZED else None
    return error_response(error.code, error.reason, headers, error.details)


async def _answer_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if not path.startswith("/api/") or error.status_code not in _OF_STATUS:
        return await http_exception_handler(request, error)
    return error_response(
        _OF_STATUS[error.status_code], f"{request.method} {path}: {error.detail}", error.headers
    )


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    reasons = [f"{' '.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return error_response(ErrorCode.INVALID_PARAMETER, "; ".join(reasons))
