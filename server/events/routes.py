"""`GET /api/asyncapi.json`: the JSON protocol, described."""

from typing import Any

from fastapi import FastAPI

from server.events.asyncapi import asyncapi_document


def add_event_routes(app: FastAPI) -> None:
    """Add the route; it needs no token."""
    document = asyncapi_document(app.version)

    @app.get("/api/asyncapi.json")
    async def asyncapi() -> dict[str, Any]:
        """The events of `/events`, as AsyncAPI 3.0."""
        return document
