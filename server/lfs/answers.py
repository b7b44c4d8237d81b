"""How Git LFS is answered: its media type, and its way to say what was wrong."""

from collections.abc import Callable, Coroutine
from math import ceil
from secrets import token_hex
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from crdt_store.update_log import LogUnavailable
from server.api_errors import ApiError, ErrorCode
from server.limits.too_many import TooMany

MEDIA_TYPE = "application/vnd.git-lfs+json"
_CHALLENGE = 'Basic realm="Git LFS"'
_RETRY_AFTER_SECONDS = 5


class LfsResponse(JSONResponse):
    """JSON under the media type that clients ask for."""

    media_type = MEDIA_TYPE


class LfsRoute(APIRoute):
    """A route whose refusals are in the shape of Git LFS."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Answers what the handler raises."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except ApiError as error:
                return _refusal(error.code, error.reason)
            except TooMany as error:
                retry_after = {"Retry-After": str(max(1, ceil(error.wait_seconds)))}
                return _refusal(ErrorCode.RATE_LIMITED, str(error), retry_after)
            except RequestValidationError as error:
                reasons = [f"{' '.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
                return _refusal(ErrorCode.INVALID_PARAMETER, "; ".join(reasons))
            except HTTPException as error:  # of the framework: a body that is not UTF-8
                return _refusal(ErrorCode.INVALID_PARAMETER, str(error.detail))
            except LogUnavailable:
                retry_after = {"Retry-After": str(_RETRY_AFTER_SECONDS)}
                return _refusal(ErrorCode.UNAVAILABLE, ErrorCode.UNAVAILABLE.meaning, retry_after)

        return answer


def refusal_body(message: str) -> dict[str, Any]:
    """What every refusal holds. `request_id` is in no log: it tells one answer from another."""
    clean = message.encode(errors="replace").decode()  # JSON can spell half a pair
    return {"message": clean, "request_id": token_hex(8), "documentation_url": "/api/docs"}


def _refusal(code: ErrorCode, message: str, headers: dict[str, str] | None = None) -> Response:
    if code is ErrorCode.UNAUTHORIZED:
        headers = {"LFS-Authenticate": _CHALLENGE, "WWW-Authenticate": _CHALLENGE}
    return LfsResponse(refusal_body(message), status_code=code.status, headers=headers)
