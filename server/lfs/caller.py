"""Who a Git client's request comes from: its token is a bearer's, or the password of any user name."""

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials

from server.access.callers import Door
from server.access.callers import caller as caller_of
from server.access.identity import Identity


async def lfs_caller(request: Request, door: Door) -> Identity:
    """Raises ApiError, TooMany, LogUnavailable."""
    token = token_of(request.headers.get("authorization", ""))
    bearer = HTTPAuthorizationCredentials(scheme="Bearer", credentials=token)
    return await caller_of(request, door, bearer)


def token_of(authorization: str) -> str:
    """The token of the header; '' if there is none."""
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            return _password(credentials.strip())
        case _:
            return ""


def _password(credentials: str) -> str:
    try:
        _, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password


LfsCaller = Annotated[Identity, Depends(lfs_caller)]
