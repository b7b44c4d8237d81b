"""A file of a running server as plain text, for tests."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx


class FileClient:
    """One file, `workspace:1/{path}`, as one user. Only `request` lets a refusal through."""

    def __init__(self, http: httpx.AsyncClient, path: str) -> None:
        self._http = http
        self._base = f"/api/workspaces/1/files/{quote(path)}"

    async def request(
        self, method: str, about: str = "content", headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        return await self._http.request(method, f"{self._base}/{about}", headers=headers, **options)

    async def read(self) -> tuple[str, str]:
        """The text and its ETag."""
        response = (await self.request("GET")).raise_for_status()
        return response.content.decode(), response.headers["ETag"]

    async def create(self, text: str) -> str:
        """The ETag of the new file."""
        response = await self.request("PUT", headers={"If-None-Match": "*"}, content=text.encode())
        return str(response.raise_for_status().headers["ETag"])

    async def replace(self, etag: str, text: str) -> dict[str, Any]:
        response = await self.request("PUT", headers={"If-Match": etag}, content=text.encode())
        return {**response.raise_for_status().json(), "etag": response.headers["ETag"]}

    async def edit(self, etag: str, *edits: tuple[int, int, str], unit: str = "utf16") -> dict[str, Any]:
        """Each edit is (start, end, text)."""
        response = await self.try_edit(etag, *edits, unit=unit)
        return {**response.raise_for_status().json(), "etag": response.headers["ETag"]}

    async def try_edit(self, etag: str, *edits: tuple[int, int, str], unit: str = "utf16") -> httpx.Response:
        asked = [{"start": start, "end": end, "text": text} for start, end, text in edits]
        headers = {"If-Match": etag, "Content-Type": "application/json"}
        return await self.request(
            "PATCH", headers=headers, content=json.dumps({"edits": asked, "unit": unit})
        )

    async def conflicts(self, **query: Any) -> list[dict[str, Any]]:
        response = (await self.request("GET", "conflicts", params=query)).raise_for_status()
        return list(response.json()["items"])

    async def resolve(self, conflict_id: int, choice: str) -> str:
        response = await self.request("POST", f"conflicts/{conflict_id}", json={"choice": choice})
        return str(response.raise_for_status().json()["version"])


@asynccontextmanager
async def file_client(url: str, token: str, path: str = "notes.md") -> AsyncIterator[FileClient]:
    """For the server at `url` (ws://…)."""
    base = url.replace("ws://", "http://")
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=base, headers=headers, trust_env=False, verify=False, timeout=30
    ) as http:
        yield FileClient(http, path)
