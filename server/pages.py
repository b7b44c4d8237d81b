"""What the server offers a browser and a monitor over HTTP: the studio, health, development tokens."""

import time
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

from auth.claims import MAX_NAME_CHARACTERS
from auth.grants import Role
from auth.minting import TokenMinter
from server.page_files import PageFiles
from server.settings import LOOPBACK_HOSTS, Settings
from server.token_settings import token_minter

DIST = Path(__file__).parent.parent / "web" / "dist"
DEVELOPMENT_USERS = ("alice", "bob")
DEVELOPMENT_TOKEN_SECONDS = 7 * 24 * 3600
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
_NOT_BUILT = "<!doctype html><title>Costudio</title><p>The page is not built yet: <code>make web</code>."


class Health(BaseModel):
    """`ok` once the server serves."""

    status: str


class DevelopmentToken(BaseModel):
    """A token for somebody who only had to say a name."""

    token: str


def development_token(tokens: TokenMinter, user: str, *, now_seconds: float) -> str:
    """A token that lets `user` edit everything."""
    return tokens.mint(
        user, grants={"*": Role.EDITOR}, now_seconds=now_seconds, ttl_seconds=DEVELOPMENT_TOKEN_SECONDS
    )


def add_pages(app: FastAPI, settings: Settings) -> None:
    """Add the routes; tokens for the asking only in development mode."""

    @app.get("/api/health")
    async def health() -> Health:
        return Health(status="ok")

    if settings.dev:
        tokens = token_minter(settings)

        @app.get("/api/dev/token")
        async def token(
            request: Request,
            response: Response,
            user: Annotated[str, Query(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=_PRINTABLE)],
        ) -> DevelopmentToken:
            # A foreign page can have its own name resolve to this machine, but not change the Host it asks for.
            if request.url.hostname not in LOOPBACK_HOSTS:
                raise HTTPException(403, "development tokens are for this machine's own pages")
            response.headers["Cache-Control"] = "no-store"
            return DevelopmentToken(token=development_token(tokens, user, now_seconds=time.time()))

    if (DIST / "index.html").exists():
        app.mount("/", PageFiles(directory=DIST, html=True), name="web")
    else:

        @app.get("/", response_class=HTMLResponse, include_in_schema=False)
        async def not_built() -> str:
            return _NOT_BUILT
