"""A process that mentions somebody in message after message and notifies of them, until it is killed."""

import asyncio
import random
import time
from itertools import count
from multiprocessing.connection import Connection as Reports
from typing import cast

from sqlalchemy import Connection

from crdt_store.engine import Database, create_engine
from crdt_store.jobs import Jobs
from crdt_store.message_rows import NewMessage
from crdt_store.notifications_jobs import ChatMessages, enqueue_chat_messages
from crdt_store.notifications_messages import SeqRange
from crdt_store.posting import insert_messages
from server.jobs.worker import JobPolicy, Worker
from server.news.hub import Hub
from server.notifications.fan_out import FanOut

CHAT = 7
LEASE_SECONDS = 30
POLICY = JobPolicy(attempts=1000, lease_seconds=LEASE_SECONDS, poll_seconds=1000, retry_seconds=0.001)


def worker_on(database: Database, name: str, *, ahead_seconds: float = 0) -> Worker:
    """`ahead_seconds`: of the clock."""

    def now_ms() -> int:
        return int((time.time() + ahead_seconds) * 1000)

    handlers = FanOut(Hub(), now_ms, by_membership=True).handlers()
    return Worker(Jobs(database), handlers, POLICY, name=name, now_ms=now_ms, random=random.random)


def mention_for_ever(url: str, turn: int, author: int, reader: int, reports: Reports) -> None:
    """Report each message that is stored."""
    asyncio.run(_mention_for_ever(url, turn, author, reader, reports))


async def _mention_for_ever(url: str, turn: int, author: int, reader: int, reports: Reports) -> None:
    database = create_engine(url)
    worker = worker_on(database, f"child {turn}")
    for number in count(1):
        uuid = f"{turn}:{number}"

        def write(connection: Connection, uuid: str = uuid) -> None:
            new = NewMessage(uuid, author, "hello", "", mentions=(reader,))
            (message,) = insert_messages(connection, CHAT, [new], 1)
            job = ChatMessages(CHAT, SeqRange(message.seq, message.seq))
            enqueue_chat_messages(connection, job, int(time.time() * 1000))

        await database.write(write)
        cast("Reports[str, str]", reports).send(uuid)
        if number % 3 == 0:
            await worker.work_off()
