"""A server that is killed while files are made, moved and deleted: what was acknowledged is there, and whole."""

import time
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import anyio
import httpx
from pycrdt import Doc, Map

from auth.grants import Role
from server.settings import Settings
from server.token_settings import token_minter
from tests.server_process import ServerProcess, running_server

WRITERS, ROUNDS = 4, 2
SECRET = "a secret for tests, long enough to sign with"
SPACE = "/api/workspaces/1"


class Writer:
    """Somebody over HTTP; `paths` of the own files, None of deleted ones, are what was acknowledged last."""

    def __init__(self, http: httpx.AsyncClient, number: int) -> None:
        self.http = http
        self.number = number
        self.random = Random(number)
        self.numbers = count()
        self.paths: dict[str, str | None] = {}
        self.unsure: set[str] = set()
        """Files of which a change was not answered."""

    async def work(self) -> None:
        """Until the server is gone."""
        while True:
            live = [file_id for file_id, path in self.paths.items() if path is not None]
            file_id = self.random.choice(live) if live and self.random.random() < 0.6 else None
            try:
                await self.step(file_id)
            except httpx.TransportError:
                return

    async def step(self, file_id: str | None) -> None:
        path: str | None = f"{self.random.choice('ab')}/{self.random.randrange(5)}.md"
        if file_id is None:
            file_id = f"{self.number}-{next(self.numbers)}"
            call: tuple[str, str, Any] = (
                "POST",
                f"{SPACE}/files",
                {"path": path, "file_id": file_id, "text": "x", "rename": True},
            )
        elif self.random.random() < 0.3:
            call, path = ("DELETE", f"{SPACE}/files/{file_id}", None), None
        else:
            call = "PATCH", f"{SPACE}/files/{file_id}", {"path": path, "rename": True}
        self.unsure.add(file_id)
        answer = await self.http.request(call[0], call[1], json=call[2])
        assert answer.is_success, answer.text
        self.paths[file_id] = None if path is None else answer.json()["path"]
        self.unsure.discard(file_id)


async def test_the_tree_its_rows_and_its_documents_say_the_same_after_every_kill(tmp_path: Path) -> None:
    tokens = token_minter(Settings(data_dir=tmp_path, jwt_secret=SECRET))
    token = tokens.mint("alice", grants={"*": Role.EDITOR}, now_seconds=time.time(), ttl_seconds=600)
    async with running_server(tmp_path, {"COSTUDIO_JWT_SECRET": SECRET}) as server:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=server.url, headers=headers, trust_env=False, timeout=30
        ) as http:
            writers = [Writer(http, number) for number in range(WRITERS)]
            for _ in range(ROUNDS):
                await kill_meanwhile(server, writers)
                await check(http, writers)


async def kill_meanwhile(server: ServerProcess, writers: list[Writer]) -> None:
    done = sum(len(writer.paths) for writer in writers)
    async with anyio.create_task_group() as tasks:
        for writer in writers:
            tasks.start_soon(writer.work)
        with anyio.fail_after(30):
            while sum(len(writer.paths) for writer in writers) < done + 15:
                await anyio.sleep(0.005)
        await server.kill()
    await server.start()


async def check(http: httpx.AsyncClient, writers: list[Writer]) -> None:
    async def get(path: str) -> Any:
        return (await http.get(path, params={"limit": 200})).raise_for_status().json()

    tree = {each["file_id"]: each["path"] for each in (await get(f"{SPACE}/tree"))["files"]}
    rows = {each["file_id"]: each["path"] for each in (await get(f"{SPACE}/files"))["items"]}
    trash = {each["file_id"] for each in (await get(f"{SPACE}/trash"))["items"]}
    document: Doc[Any] = Doc()
    document.apply_update((await http.get("/api/copies/workspace:1")).content)
    entries = document.get("files", type=Map).to_py() or {}
    assert tree == rows == {file_id: entry["path"] for file_id, entry in entries.items()}
    assert len({path.casefold() for path in tree.values()}) == len(tree)
    assert not trash & tree.keys()
    for writer in writers:
        for file_id, path in writer.paths.items():
            if file_id not in writer.unsure:
                assert tree.get(file_id) == path
                assert path is not None or file_id in trash
        for file_id in writer.unsure:  # whatever has become of it, it is known from now on
            if file_id in tree or file_id in trash:
                writer.paths[file_id] = tree.get(file_id)
