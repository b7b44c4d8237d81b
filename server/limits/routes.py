"""`GET /api/limits`: what the limits of this server are."""

from fastapi import FastAPI
from pydantic import BaseModel

from server.limits.table import LIMITS
from server.settings import Settings


class LimitModel(BaseModel):
    """`value` is null where nothing is set and the server finds out for itself; `beyond`: what happens then.

    A number of four digits in `beyond` is the code that a WebSocket is closed with.
    """

    name: str
    value: int | float | None
    unit: str
    applies_to: str
    beyond: str


def add_limit_routes(app: FastAPI, settings: Settings) -> None:
    """Add the route; it needs no token."""
    models = [LimitModel(value=limit.value(settings), **limit._asdict()) for limit in LIMITS]

    @app.get("/api/limits")
    async def limits() -> list[LimitModel]:
        """Every limit that a client can meet."""
        return models
