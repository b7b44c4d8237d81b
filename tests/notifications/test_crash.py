"""kill -9 at any moment between a message and its notification: it comes, and once."""

import asyncio
import multiprocessing
import os
import random
import time
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import Connection, text
from websockets.asyncio.client import connect

from crdt_store.engine import create_engine
from crdt_store.users import UserDirectory
from tests.events.serving import JsonClient
from tests.notifications.crash_child import LEASE_SECONDS, mention_for_ever, worker_on
from tests.server_process import ServerProcess, running_server

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "100")) // 8
SEED = 1

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.notifications.crash_child"])


async def people(url: str) -> tuple[int, int]:
    database = create_engine(url)
    users = UserDirectory(database)
    found = await users.id_of("i", "author", ""), await users.id_of("i", "reader", "")
    await database.close()
    return found


def mention_until_killed(url: str, turn: int, who: tuple[int, int], moments: random.Random) -> set[str]:
    """What the child said that it had stored."""
    receiver, sender = processes.Pipe(duplex=False)
    child = processes.Process(target=mention_for_ever, args=(url, turn, *who, sender))
    child.start()
    sender.close()
    stored: set[str] = set()
    kill_after = moments.randrange(1, 20)
    try:
        while True:
            if len(stored) == kill_after:
                time.sleep(moments.random() * 0.01)
                child.kill()
            stored.add(receiver.recv())
    except EOFError:  # dead, and everything it had said is read
        pass
    finally:
        child.kill()
        child.join()
        child.close()
        receiver.close()
    return stored


async def look(url: str, turn: int, *, works: bool) -> tuple[set[str], list[tuple[str, int]], int]:
    """Uuids of all messages; those that the reader was notified of, each with how often; jobs that are left.

    `works`: when a worker has done its work to whom all leases have ended.
    """
    database = create_engine(url)
    if works:
        await worker_on(database, f"after {turn}", ahead_seconds=LEASE_SECONDS + 1).work_off()

    def read(connection: Connection) -> tuple[set[str], list[tuple[str, int]], int]:
        uuids = set(connection.scalars(text("SELECT uuid FROM messages")))
        query = "SELECT m.uuid, count(*) FROM notifications n JOIN messages m ON m.id = n.message_id GROUP BY m.uuid"
        notified = [(found, count) for found, count in connection.execute(text(query))]
        return uuids, notified, int(connection.scalar(text("SELECT count(*) FROM jobs")) or 0)

    found = await database.read(read)
    await database.close()
    return found


@pytest.mark.slow
@pytest.mark.timeout(120 + 2 * ROUNDS)
def test_each_message_is_told_once_whenever_its_process_is_killed(database_url: str) -> None:
    who = asyncio.run(people(database_url))
    moments = random.Random(SEED)
    left = 0
    for turn in range(ROUNDS):
        stored = mention_until_killed(database_url, turn, who, moments)
        left += asyncio.run(look(database_url, turn, works=False))[2]
        uuids, notified, jobs = asyncio.run(look(database_url, turn, works=True))
        assert stored <= uuids
        assert sorted(notified) == sorted((each, 1) for each in uuids)
        assert jobs == 0
    assert left >= ROUNDS // 4, "it was hardly ever killed between cause and effect"


async def notifications_of(server: ServerProcess, user: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {await server.token(user)}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False, verify=False) as http:
        return list((await http.get("/api/notifications")).json()["items"])


@pytest.mark.slow
async def test_a_server_that_is_killed_after_its_ack_notifies_when_it_is_back(tmp_path: Path) -> None:
    lease = {"COSTUDIO_JOB_LEASE_SECONDS": "0.2", "COSTUDIO_JOB_POLL_SECONDS": "0.05"}
    async with running_server(tmp_path, lease) as server:
        async with AsyncExitStack() as stack:
            clients = {}
            for user in ("alice", "bob"):
                url = f"{server.websocket_url.removesuffix('/ws')}/events?token={await server.token(user)}"
                client = JsonClient(await stack.enter_async_context(connect(url)))
                assert (await client.ask("join_room", room="chat:5"))["type"] == "ack"
                clients[user] = client
            # Who has written is one of the chat's people.
            await clients["bob"].ask("message", room="chat:5", id=str(uuid.uuid4()), body="hello")
            mention = {"room": "chat:5", "id": str(uuid.uuid4()), "body": "hello @bob"}
            assert (await clients["alice"].ask("message", **mention))["type"] == "ack"
            await server.kill()
        await server.start()
        with anyio.fail_after(10):
            while not (found := await notifications_of(server, "bob")):
                await anyio.sleep(0.05)
        assert [each["text"] for each in found] == ["hello @bob"]
