"""Documents over HTTP, for tests: whoever has the token may ask a running server about one document."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx


class DocumentsClient:
    """One document. Every method but `request` raises httpx.HTTPStatusError for what is refused."""

    def __init__(self, http: httpx.AsyncClient, room: str) -> None:
        self._http = http
        self._room = quote(room)

    async def request(self, method: str, about: str = "documents", **options: Any) -> httpx.Response:
        """Whatever the server answers; `about` is what the path says before the room."""
        return await self._http.request(method, f"/api/{about}/{self._room}", **options)

    async def _call(self, method: str, about: str, **options: Any) -> httpx.Response:
        return (await self.request(method, about, **options)).raise_for_status()

    async def describe(self) -> dict[str, Any]:
        return dict((await self._call("GET", "documents")).json())

    async def delete(self) -> None:
        await self._call("DELETE", "documents")

    async def copy(self) -> bytes:
        return (await self._call("GET", "copies")).content

    async def restore(self, copy: bytes) -> int:
        """The new epoch."""
        return int((await self._call("PUT", "copies", content=copy)).json()["epoch"])

    async def stale_updates(self) -> list[dict[str, Any]]:
        return list((await self._call("GET", "stale-updates")).json())

    async def stale_ids(self) -> list[int]:
        return [entry["id"] for entry in await self.stale_updates()]

    async def stale_update(self, stale_id: int) -> bytes:
        return (await self._call("GET", f"stale-update/{stale_id}")).content

    async def merge(self, stale_id: int) -> None:
        await self._call("POST", f"stale-update/{stale_id}")

    async def discard(self, stale_id: int) -> None:
        await self._call("DELETE", f"stale-update/{stale_id}")

    async def quarantined(self) -> list[dict[str, Any]]:
        return list((await self._call("GET", "quarantine")).json())


@asynccontextmanager
async def documents_client(url: str, token: str | None, room: str) -> AsyncIterator[DocumentsClient]:
    """For the server at `url` (http://…)."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, trust_env=False, verify=False, timeout=30
    ) as http:
        yield DocumentsClient(http, room)
