"""The locks of the server that is asked, for routes."""

from typing import Annotated

from fastapi import Depends, Request

from server.locks.service import LockService


def service_of(request: Request) -> LockService:
    """The server's; `app.state` has it as `locks` while the server serves."""
    service: LockService = request.app.state.locks
    return service


LockServiceOf = Annotated[LockService, Depends(service_of)]
