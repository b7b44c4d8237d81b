"""The locking API of Git LFS: in the words of its documentation, and with the real client where there is one."""

import base64
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest

from auth.grants import Role
from tests.wire.conftest import run_server
from tests.wire.test_locks_api import QUICK, Studio, studio_on
from tests.wire.test_projects_api import Person

MEDIA_TYPE = "application/vnd.git-lfs+json"
HEADERS = {"Accept": MEDIA_TYPE, "Content-Type": f"{MEDIA_TYPE}; charset=utf-8"}


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with run_server(tmp_path, **QUICK) as server, AsyncExitStack() as stack:
        yield await (await studio_on(server, stack)).begin()


def basic(token: str, user: str = "anybody") -> str:
    return f"Basic {base64.b64encode(f'{user}:{token}'.encode()).decode()}"


async def ask(
    studio: Studio, who: Person, method: str, path: str, body: Any = None, *, authorization: str | None = None
) -> httpx.Response:
    headers = HEADERS | {"Authorization": authorization or basic(who.token)}
    content = None if body is None else json.dumps(body)
    url = f"/lfs/{studio.workspace}/locks{path}"
    return await studio._http.request(method, url, content=content, headers=headers)


async def call(studio: Studio, who: Person, method: str, path: str, body: Any = None) -> Any:
    """What is answered; it must be a success."""
    answer = await ask(studio, who, method, path, body)
    assert answer.is_success, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    return answer.json()


async def refused(
    studio: Studio, who: Person, status: int, method: str, path: str, body: Any = None, **more: Any
) -> dict[str, Any]:
    answer = await ask(studio, who, method, path, body, **more)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    said: dict[str, Any] = answer.json()
    assert {"message", "request_id", "documentation_url"} <= said.keys()
    if status == 401:
        assert answer.headers["lfs-authenticate"] == 'Basic realm="Git LFS"'
    return said


async def lock(studio: Studio, who: Person, path: str) -> dict[str, Any]:
    body = {"path": path, "ref": {"name": "refs/heads/my-feature"}}
    return dict((await call(studio, who, "POST", "", body))["lock"])


async def test_a_lock_is_made_found_and_given_back(studio: Studio) -> None:
    made = await lock(studio, studio.bob, "foo/bar.zip")
    assert isinstance(made["id"], str)
    assert (made["path"], made["owner"]) == ("foo/bar.zip", {"name": "bob"})
    assert datetime.fromisoformat(made["locked_at"]).utcoffset() is not None
    query = f"?path={quote('foo/bar.zip')}&id=&cursor=&limit=10&refspec=refs%2Fheads%2Fmy-feature"
    for found in (query, "", f"?id={made['id']}"):
        assert await call(studio, studio.alice, "GET", found) == {"locks": [made]}
    for absent in ("?path=foo", "?id=987", "?id=x", f"?cursor={made['id']}"):
        assert await call(studio, studio.alice, "GET", absent) == {"locks": []}
    gone = await call(studio, studio.bob, "POST", f"/{made['id']}/unlock", {"force": False})
    assert gone == {"lock": made}
    await refused(studio, studio.bob, 404, "POST", f"/{made['id']}/unlock", {})


async def test_what_is_taken_is_answered_with_the_lock(studio: Studio) -> None:
    made = await lock(studio, studio.bob, "a")
    said = await refused(studio, studio.eve, 409, "POST", "", {"path": "a"})
    assert said["lock"] == made
    assert "bob" in said["message"]
    assert (await refused(studio, studio.bob, 409, "POST", "", {"path": "a"}))["lock"] == made


async def test_before_a_push_ours_and_theirs_are_told_apart_in_pages(studio: Studio) -> None:
    made = [await lock(studio, (studio.bob, studio.eve)[number % 2], f"{number}") for number in range(6)]
    ours: list[Any] = []
    theirs: list[Any] = []
    cursor, pages = "", 0
    while cursor or not pages:
        body = {"cursor": cursor, "limit": 4, "ref": {"name": "refs/heads/main"}}
        found = await call(studio, studio.bob, "POST", "/verify", body)
        ours, theirs, cursor = ours + found["ours"], theirs + found["theirs"], found.get("next_cursor", "")
        pages += 1
    assert (ours, theirs, pages) == (made[::2], made[1::2], 2)
    assert await call(studio, studio.bob, "POST", "/verify", {}) == {"ours": ours, "theirs": theirs}


async def test_only_an_admin_unlocks_by_force_what_is_anothers(studio: Studio) -> None:
    made = await lock(studio, studio.bob, "a")
    unlock = f"/{made['id']}/unlock"
    await refused(studio, studio.eve, 403, "POST", unlock)
    await refused(studio, studio.eve, 403, "POST", unlock, {"force": True})
    await refused(studio, studio.alice, 403, "POST", unlock, {})
    assert (await call(studio, studio.alice, "POST", unlock, {"force": True}))["lock"] == made


async def test_locks_are_those_of_everybody_else(studio: Studio) -> None:
    made = await lock(studio, studio.bob, "art/a")
    assert (await studio.taken(studio.eve, "art"))["kind"] == "standing"
    await studio.lock(studio.eve, "b", kind="session")
    found = (await call(studio, studio.bob, "GET", ""))["locks"]
    assert [each["owner"]["name"] for each in found] == ["bob", "eve"]
    await studio.bob.call("DELETE", f"locks/{made['id']}")
    assert len((await call(studio, studio.bob, "GET", ""))["locks"]) == 1


async def test_a_token_comes_as_a_password_or_as_a_bearers(studio: Studio) -> None:
    for good in (basic(studio.bob.token), basic(studio.bob.token, ""), f"Bearer {studio.bob.token}"):
        assert (await ask(studio, studio.bob, "GET", "", authorization=good)).status_code == 200
    for bad in (basic("x"), "Basic ???", "Basic", f"Basic {studio.bob.token}", "Digest x", "Bearer x"):
        await refused(studio, studio.bob, 401, "GET", "", authorization=bad)


async def test_roles_are_those_of_the_workspace(studio: Studio) -> None:
    stranger, viewer = studio.person("stranger"), studio.person("bob", {"*": Role.VIEWER})
    for method, path, body in (("GET", "", None), ("POST", "", {"path": "a"}), ("POST", "/verify", {})):
        await refused(studio, stranger, 404, method, path, body)
        if method == "POST":
            await refused(studio, viewer, 403, method, path, body)
    assert await call(studio, viewer, "GET", "") == {"locks": []}
    wrongs: tuple[Any, ...] = ({"path": "../a"}, {"path": ""}, {}, [], "a")
    for wrong in wrongs:
        await refused(studio, studio.bob, 422, "POST", "", wrong)


# The real client


@pytest.fixture
def git_lfs() -> str:
    """The client; it is looked for on the PATH."""
    found = shutil.which("git-lfs")
    if found is None or shutil.which("git") is None:
        pytest.skip("there is no git-lfs on this machine")
    return found


async def test_the_real_client_locks_lists_and_unlocks(studio: Studio, git_lfs: str, tmp_path: Path) -> None:
    bob, eve = (
        await clone(studio, studio.bob, tmp_path / "bob"),
        await clone(studio, studio.eve, tmp_path / "eve"),
    )
    assert "Locked a.bin" in await bob("lfs", "lock", "a.bin")
    assert "already locked by bob" in await eve("lfs", "lock", "a.bin", fails=True)
    assert await studio.paths(studio.alice) == ["a.bin"]
    assert "a.bin" in await eve("lfs", "locks")
    found = json.loads(await bob("lfs", "locks", "--verify", "--json"))
    assert [each["path"] for each in found["ours"]] == ["a.bin"]
    assert (await bob("lfs", "locks", "--verify")).startswith("O a.bin")
    assert (await eve("lfs", "locks", "--verify")).startswith("  a.bin")
    assert "may not end somebody else's lock" in await eve("lfs", "unlock", "--force", "a.bin", fails=True)
    assert "Unlocked a.bin" in await bob("lfs", "unlock", "a.bin")
    assert await studio.paths(studio.alice) == []
    for number in range(3):
        await lock(studio, studio.eve, f"{number}.bin")
    assert len((await bob("lfs", "locks", "--limit=2")).splitlines()) == 2
    assert "Locked a.bin" in await eve("lfs", "lock", "a.bin")


async def clone(studio: Studio, who: Person, place: Path) -> Any:
    """A repository whose locks are the studio's; what runs git in it."""
    await anyio.Path(place).mkdir()
    url = studio.server.url.replace("ws://", f"http://any:{who.token}@") + f"/lfs/{studio.workspace}"
    environment = {"HOME": str(place), "PATH": os.environ["PATH"], "GIT_TERMINAL_PROMPT": "0"}

    async def git(*arguments: str, fails: bool = False) -> str:
        with anyio.fail_after(30):
            done = await anyio.run_process(
                ["git", *arguments], cwd=place, env=environment, check=False, stdout=PIPE, stderr=STDOUT
            )
        output = done.stdout.decode()
        assert (done.returncode != 0) is fails, output
        return output

    await git("init", "-b", "main")
    await git("config", "lfs.url", url)
    await git("config", "user.email", "somebody@example.org")
    await git("config", "user.name", "somebody")
    await git("remote", "add", "origin", "http://127.0.0.1:9/none.git")
    await anyio.Path(place / "a.bin").write_bytes(b"a")
    await git("add", ".")
    await git("commit", "-m", "first")
    return git


async def test_a_path_is_found_however_its_letters_are_composed(studio: Studio) -> None:
    lock = (await call(studio, studio.bob, "POST", "", {"path": "Caf\u00e9.uasset"}))["lock"]
    found = await call(studio, studio.bob, "GET", "?path=" + quote("Cafe\u0301.uasset"))
    assert found["locks"] == [lock]
    for path in ("a\0b", "../a"):
        await refused(studio, studio.bob, 422, "GET", f"?path={quote(path)}")
