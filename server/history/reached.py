"""How the routes reach the history."""

from typing import Annotated

from fastapi import Depends, Request

from server.history.desk import History


def _past(request: Request) -> History:
    history: History = request.app.state.history
    return history


Past = Annotated[History, Depends(_past)]
