"""The one table of what the HTTP API refuses with. docs/errors.md is tested against it."""

from enum import StrEnum

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


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
    FORBIDDEN = "forbidden", 403, "the token's role may not do this here"
    NOT_FOUND = "not_found", 404, "no such room, document or update"
    UPDATE_INCOMPLETE = "update_incomplete", 409, "the update builds on something that the document has not"
    TOO_LARGE = "too_large", 413, "a body over the size limit"
    MALFORMED_UPDATE = (
        "malformed_update",
        422,
        "the body is not a Yjs update, or not a document's whole state",
    )
    UNAVAILABLE = "unavailable", 503, "the store or the document cannot answer now: try again"


class ApiError(Exception):
    """Answered as `{"error": {"code", "reason"}}`; the reason names what was wrong."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def add_error_handler(app: FastAPI) -> None:
    """Have `ApiError` answered."""

    @app.exception_handler(ApiError)
    async def answer(request: Request, error: ApiError) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if error.code is ErrorCode.UNAUTHORIZED else None
        body = {"error": {"code": error.code.value, "reason": error.reason}}
        return JSONResponse(body, status_code=error.code.status, headers=headers)
