"""Locks over HTTP: who gets them, who is told, and what is left of them after a restart."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from auth.grants import Role
from server.api_errors import ErrorCode
from tests.events.serving import JsonClient
from tests.wire.conftest import RunningServer, run_server
from tests.wire.test_projects_api import Person, Town

QUICK: dict[str, Any] = {"job_poll_seconds": 0.05, "lock_session_seconds": 5, "lock_grace_seconds": 0.5}


class Studio(Town):
    """A workspace of alice's, in which bob and eve are editors."""

    server: RunningServer
    stack: AsyncExitStack
    eve: Person
    workspace: int

    async def begin(self) -> "Studio":
        self.eve = self.person("eve")
        project = await self.alice.project()
        self.workspace = int((await self.alice.part(project, "workspaces")).partition("/")[2])
        for who in (self.bob, self.eve):
            await self.alice.call(
                "PUT", f"{project}/members/{await who.user_id()}", {"role": Role.EDITOR.name.lower()}
            )
        return self

    def wanted(self, path: str, **more: Any) -> dict[str, Any]:
        return {"workspace_id": self.workspace, "path": path} | more

    async def lock(self, who: Person, path: str, **more: Any) -> dict[str, Any]:
        return dict(await who.call("POST", "locks", self.wanted(path, **more)))

    async def taken(self, who: Person, path: str, **more: Any) -> dict[str, Any]:
        """The details of the refusal."""
        answer = await who.ask("POST", "locks", self.wanted(path, **more))
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "locked"), answer.text
        return dict(answer.json()["error"]["details"])

    async def paths(self, who: Person, query: str = "") -> list[str]:
        found = await who.call("GET", f"locks?workspace={self.workspace}{query}")
        return [lock["path"] for lock in found["items"]]

    async def online(self, who: Person, room: str) -> JsonClient:
        """A connection of theirs that has joined the room."""
        url = f"{self.server.url}/events?token={who.token}"
        client = JsonClient(await self.stack.enter_async_context(connect(url)))
        assert (await client.ask("join_room", room=room))["type"] == "ack"
        return client


async def studio_on(server: RunningServer, stack: AsyncExitStack) -> Studio:
    base_url = server.url.replace("ws://", "http://")
    http = await stack.enter_async_context(
        httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False)
    )
    studio = Studio(server, http)
    studio.server, studio.stack = server, stack
    return studio


async def notified(client: JsonClient, what: str) -> dict[str, Any]:
    """The first notification of this kind."""
    event = await client.heard(
        lambda event: event["type"] == "notification" and event["payload"]["kind"] == what
    )
    return dict(event["payload"])


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with run_server(tmp_path, **QUICK) as server, AsyncExitStack() as stack:
        yield await (await studio_on(server, stack)).begin()


async def test_a_lock_is_taken_listed_renewed_and_given_back(studio: Studio) -> None:
    began = time.time()
    lock = await studio.lock(studio.alice, "art/Caf\u0065\u0301.uasset", ttl_seconds=60)
    assert (lock["path"], lock["kind"], lock["holder_name"]) == ("art/Caf\u00e9.uasset", "lease", "alice")
    expires_at = datetime.fromisoformat(lock["expires_at"]).timestamp()
    assert 59.9 < expires_at - began < 65
    listed = lock | {"waiting": []}
    assert (await studio.bob.call("GET", f"locks?workspace={studio.workspace}"))["items"] == [listed]
    renewed = await studio.alice.call("POST", f"locks/{lock['id']}/renew", {"ttl_seconds": 600})
    assert datetime.fromisoformat(renewed["expires_at"]).timestamp() > expires_at + 500
    assert renewed["fence"] == lock["fence"]
    assert await studio.alice.call("POST", f"locks/{lock['id']}/renew")
    await studio.alice.call("DELETE", f"locks/{lock['id']}")
    assert await studio.paths(studio.bob) == []
    again = await studio.lock(studio.bob, "art")
    assert again["fence"] > lock["fence"]


async def test_what_is_taken_is_refused_with_who_has_it_and_who_waits(studio: Studio) -> None:
    lock = await studio.lock(studio.alice, "art", kind="standing")
    bob_id, eve_id = await studio.bob.user_id(), await studio.eve.user_id()
    assert (await studio.taken(studio.eve, "art/a", wait=True))["waiting"] == [eve_id]
    found = await studio.taken(studio.bob, "art/a/b", wait=True)
    assert found == {
        "lock_id": lock["id"],
        "path": "art",
        "kind": "standing",
        "holder_id": lock["holder_id"],
        "holder_name": "alice",
        "since": found["since"],
        "expires_at": None,
        "waiting": [eve_id, bob_id],
    }
    assert datetime.fromisoformat(found["since"]) == datetime.fromisoformat(lock["acquired_at"])
    assert (await studio.taken(studio.alice, "art"))["lock_id"] == lock["id"]
    await studio.lock(studio.alice, "art/a")


async def test_who_waits_is_notified_when_it_is_free(studio: Studio) -> None:
    lock = await studio.lock(studio.alice, "art")
    bob = await studio.online(studio.bob, f"workspace:{studio.workspace}")
    await studio.taken(studio.bob, "art/a", wait=True)
    await studio.alice.call("DELETE", f"locks/{lock['id']}")
    told = await notified(bob, "lock_free")
    assert (told["room"], told["data"]) == (f"workspace:{studio.workspace}/art/a", {"path": "art/a"})


async def test_who_waits_is_listed_and_may_leave_the_line(studio: Studio) -> None:
    lock = await studio.lock(studio.alice, "art/Cafe\u0301")
    bob_id, eve_id = await studio.bob.user_id(), await studio.eve.user_id()
    for who in (studio.bob, studio.eve):
        await studio.taken(who, "art/Caf\u00e9/a", wait=True)
    listing = f"locks?workspace={studio.workspace}"
    assert (await studio.eve.call("GET", listing))["items"] == [lock | {"waiting": [bob_id, eve_id]}]
    leaving = f"locks/waiting?workspace={studio.workspace}&path=art/Cafe\u0301/a"
    for _ in range(2):  # whoever has left may leave
        await studio.bob.call("DELETE", leaving)
    assert (await studio.eve.call("GET", listing))["items"] == [lock | {"waiting": [eve_id]}]


async def test_admins_read_what_was_done_to_locks_of_others(studio: Studio) -> None:
    alice_id, bob_id, eve_id = [await who.user_id() for who in (studio.alice, studio.bob, studio.eve)]
    given, forced = await studio.lock(studio.bob, "art/a"), await studio.lock(studio.bob, "code/b")
    await studio.bob.call("POST", f"locks/{given['id']}/transfer", {"user_id": eve_id})
    await studio.alice.call("POST", f"locks/{forced['id']}/force", {"reason": "on holiday"})
    audit = f"locks/audit?workspace={studio.workspace}"
    newest, oldest = (await studio.alice.call("GET", audit))["items"]
    assert (newest["action"], newest["path"], newest["lock_id"]) == ("forced", "code/b", forced["id"])
    assert (newest["actor_id"], newest["holder_id"], newest["reason"]) == (alice_id, bob_id, "on holiday")
    assert (oldest["action"], oldest["actor_id"], oldest["new_holder_id"]) == ("transferred", bob_id, eve_id)
    first = await studio.alice.call("GET", f"{audit}&limit=1")
    assert first == {"items": [newest], "next_before": newest["id"]}
    assert (await studio.alice.call("GET", f"{audit}&before={newest['id']}"))["items"] == [oldest]
    assert (await studio.alice.call("GET", f"{audit}&path=art"))["items"] == [oldest]
    await studio.bob.refused(ErrorCode.FORBIDDEN, "GET", audit)


async def test_changes_are_told_in_the_workspace_and_in_the_files(studio: Studio) -> None:
    workspace = f"workspace:{studio.workspace}"
    bob, eve = (
        await studio.online(studio.bob, workspace),
        await studio.online(studio.eve, f"{workspace}/art/a/b"),
    )
    lock = await studio.lock(studio.alice, "art/a")
    for client, room in ((bob, workspace), (eve, f"{workspace}/art/a/b")):
        heard = await client.heard_of("lock_changed", room=room, change="acquired")
        assert heard["sender_id"] == lock["holder_id"]
        told = heard["payload"]
        assert told["lock_id"] == lock["id"]
        for name in ("path", "fence", "kind", "holder_id"):
            assert told[name] == lock[name]
    await studio.alice.call("POST", f"locks/{lock['id']}/renew")
    await bob.heard_of("lock_changed", change="renewed")
    await studio.alice.call("POST", f"locks/{lock['id']}/transfer", {"user_id": await studio.bob.user_id()})
    await bob.heard_of("lock_changed", change="transferred", holder_id=await studio.bob.user_id())
    await studio.bob.call("DELETE", f"locks/{lock['id']}")
    await eve.heard_of("lock_changed", change="released", holder_id=None, expires_at=None)


async def test_a_lease_that_nobody_renews_ends_and_is_told(studio: Studio) -> None:
    bob = await studio.online(studio.bob, f"workspace:{studio.workspace}")
    await studio.lock(studio.alice, "a", ttl_seconds=0.3)
    await bob.heard_of("lock_changed", change="expired", path="a")
    await studio.lock(studio.bob, "a")


async def test_a_sessions_lock_lasts_as_long_as_its_holder_is_connected(studio: Studio) -> None:
    workspace = f"workspace:{studio.workspace}"
    alice, bob = await studio.online(studio.alice, workspace), await studio.online(studio.bob, workspace)
    lock = await studio.lock(studio.alice, "a", kind="session")
    first = datetime.fromisoformat(lock["expires_at"])
    with anyio.fail_after(10):
        while True:
            [found] = (await studio.bob.call("GET", f"locks?workspace={studio.workspace}"))["items"]
            if datetime.fromisoformat(found["expires_at"]) > first:
                break
            await anyio.sleep(0.1)
    await alice.connection.close()
    await bob.heard_of("lock_changed", change="expired", path="a")
    assert "renewed" not in [event["payload"].get("change") for event in bob.received]


async def test_only_an_admin_ends_a_lock_by_force(studio: Studio) -> None:
    lock = await studio.lock(studio.bob, "a")
    bob = await studio.online(studio.bob, "global")
    force = f"locks/{lock['id']}/force"
    await studio.eve.refused(ErrorCode.FORBIDDEN, "POST", force, {"reason": "mine"})
    await studio.alice.refused(ErrorCode.INVALID_PARAMETER, "POST", force, {})
    await studio.alice.call("POST", force, {"reason": "on holiday"})
    told = await notified(bob, "lock_taken")
    assert told["actor_id"] == await studio.alice.user_id()
    await studio.bob.refused(ErrorCode.NOT_FOUND, "POST", f"locks/{lock['id']}/renew")
    await studio.lock(studio.eve, "a")


async def test_a_lock_is_given_only_to_who_may_lock_there(studio: Studio) -> None:
    lock = await studio.lock(studio.bob, "a")
    transfer = f"locks/{lock['id']}/transfer"
    stranger = await studio.person("stranger").user_id()
    for user_id in (stranger, 987_654):
        await studio.bob.refused(ErrorCode.INVALID_PARAMETER, "POST", transfer, {"user_id": user_id})
    eve_id = await studio.eve.user_id()
    await studio.eve.refused(ErrorCode.FORBIDDEN, "POST", transfer, {"user_id": eve_id})
    given = await studio.alice.call("POST", transfer, {"user_id": eve_id})
    assert (given["holder_id"], given["fence"]) == (eve_id, lock["fence"] + 1)
    await studio.bob.refused(ErrorCode.FORBIDDEN, "DELETE", f"locks/{lock['id']}")


async def test_a_lock_is_not_there_for_who_has_no_role_where_it_is(studio: Studio) -> None:
    lock = await studio.lock(studio.alice, "secret/a")
    stranger, shut_out = studio.person("stranger"), f"member/{await studio.bob.user_id()}"
    for path in ("secret/a", "secret"):
        await studio.alice.call("PUT", f"{shut_out}/workspace:{studio.workspace}/{path}", {"role": "none"})
    for who in (stranger, studio.bob):
        assert await studio.paths(who) == []
        theirs = await who.refused(ErrorCode.NOT_FOUND, "DELETE", f"locks/{lock['id']}")
        absent = await who.refused(ErrorCode.NOT_FOUND, "DELETE", "locks/987654")
        assert theirs.replace(str(lock["id"]), "…") == absent.replace("987654", "…")
    found = await studio.taken(studio.bob, "secret/a/b")
    assert (found["lock_id"], found["path"], found["holder_name"]) == (None, None, "alice")
    await stranger.refused(ErrorCode.NOT_FOUND, "POST", "locks", studio.wanted("x"))
    viewer = studio.person("alice", {"*": Role.VIEWER})
    await viewer.refused(ErrorCode.FORBIDDEN, "POST", "locks", studio.wanted("x"))
    await viewer.refused(ErrorCode.FORBIDDEN, "POST", f"locks/{lock['id']}/renew")


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "a//b"},
        {"path": "../a"},
        {"path": ""},
        {"path": "a\0"},
        {"path": "x" * 600},
        {"kind": "own"},
        {"ttl_seconds": 0},
        {"ttl_seconds": 86_401},
        {"kind": "session", "ttl_seconds": 5},
        {"workspace_id": 10**18},
    ],
    ids=lambda wrong: str(wrong)[:30],
)
async def test_what_cannot_be_a_lock_is_refused(studio: Studio, wrong: dict[str, Any]) -> None:
    await studio.alice.refused(ErrorCode.INVALID_PARAMETER, "POST", "locks", studio.wanted("a") | wrong)


async def test_a_user_has_no_more_locks_than_is_set(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_locks_per_user=1) as server, AsyncExitStack() as stack:
        studio = await (await studio_on(server, stack)).begin()
        await studio.lock(studio.bob, "a")
        reason = await studio.bob.refused(ErrorCode.RATE_LIMITED, "POST", "locks", studio.wanted("b"))
        assert reason.endswith("(max_locks_per_user)")


async def test_a_list_comes_in_pages_and_by_holder_and_path(studio: Studio) -> None:
    for who, path in ((studio.alice, "a"), (studio.alice, "a/b"), (studio.bob, "c")):
        await studio.lock(who, path)
    assert await studio.paths(studio.eve, "&path=a/b/c") == ["a", "a/b"]
    assert await studio.paths(studio.eve, f"&holder={await studio.bob.user_id()}") == ["c"]
    first = await studio.eve.call("GET", "locks?limit=2")
    rest = await studio.eve.call("GET", f"locks?after={first['next_after']}")
    assert [lock["path"] for lock in first["items"] + rest["items"]] == ["a", "a/b", "c"]
    assert rest["next_after"] is None


async def test_locks_survive_a_restart_and_sessions_have_a_grace(tmp_path: Path) -> None:
    async with run_server(tmp_path, **QUICK) as server, AsyncExitStack() as stack:
        studio = await (await studio_on(server, stack)).begin()
        await studio.online(studio.alice, f"workspace:{studio.workspace}")
        fences = [
            (await studio.lock(studio.alice, kind, kind=kind))["fence"]
            for kind in ("session", "lease", "standing")
        ]
        workspace = studio.workspace
    async with run_server(tmp_path, **QUICK | {"lock_grace_seconds": 3}) as server, AsyncExitStack() as stack:
        studio = await studio_on(server, stack)
        studio.workspace = workspace
        assert await studio.paths(studio.alice) == ["session", "lease", "standing"]
        with anyio.fail_after(10):
            while "session" in await studio.paths(studio.alice):
                await anyio.sleep(0.1)
        assert await studio.paths(studio.alice) == ["lease", "standing"]
        assert (await studio.lock(studio.alice, "session"))["fence"] > max(fences)
