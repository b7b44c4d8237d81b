"""From jobs to people: who hears of what, and what is counted."""

from collections.abc import Collection
from functools import partial

import pytest
from sqlalchemy import Connection

from auth.grants import Role
from crdt_store.engine import Database
from crdt_store.jobs import Job, enqueue
from crdt_store.message_rows import StoredMessage
from crdt_store.notifications import Notifications
from crdt_store.notifications_jobs import (
    CHAT_MESSAGES,
    NOTICE,
    ROLE_NAMES,
    ChatMessages,
    enqueue_chat_messages,
    enqueue_conflict,
    enqueue_lock_taken,
)
from crdt_store.notifications_messages import SeqRange
from crdt_store.notifications_preferences import Level
from server.jobs.worker import JobPolicy, Worker
from server.news.hub import Hub, News
from server.notifications.fan_out import FanOut
from server.notifications.parts import NotificationParts
from tests.crdt_store.chatting import CHAT, NOW_MS, ada, bob, edit, new, post

__all__ = ["ada", "bob"]

ROOM = f"chat:{CHAT}"
POLICY = JobPolicy(attempts=1, lease_seconds=30, poll_seconds=1000, retry_seconds=1)
Shown = tuple[str, int, str | None]


class Office:
    """What people are told, by a worker that works when it is told to."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.hub = Hub()
        parts = NotificationParts(
            database, self.hub, POLICY, by_membership=True, now_ms=lambda: NOW_MS, random=lambda: 0.0
        )
        self.worker: Worker = parts.worker
        self.notifications: Notifications = parts.desk.notifications

    async def notify(self, *batches: Collection[StoredMessage], edited: Collection[int] = ()) -> None:
        def write(connection: Connection) -> None:
            for batch in batches:
                seqs = [message.seq for message in batch]
                sent = SeqRange(min(seqs), max(seqs))
                enqueue_chat_messages(connection, ChatMessages(CHAT, sent), NOW_MS)
            if edited:
                enqueue_chat_messages(connection, ChatMessages(CHAT, None, list(edited)), NOW_MS)

        await self.database.write(write)
        await self.worker.work_off()

    async def shown(self, user_id: int) -> list[Shown]:
        found = await self.notifications.page(user_id, before=None, limit=100)
        return [(each.kind, each.count, each.text) for each in reversed(found)]

    async def follow(self, *user_ids: int) -> None:
        for user_id in user_ids:
            await self.notifications.prefer(user_id, ROOM, Level.ALL)


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


async def test_followers_hear_of_what_others_wrote_and_was_not_for_them_anyway(
    office: Office, ada: int, bob: int
) -> None:
    await office.follow(ada, bob)
    sent = await post(
        office.database, new(ada, "1"), new(bob, "2", mentions=(ada,)), new(bob, "3"), new(ada, "4")
    )
    await office.notify(sent[:2], sent[2:])
    assert await office.shown(ada) == [("mention", 1, "2"), ("chat_activity", 1, "3")]
    assert await office.shown(bob) == [("chat_activity", 2, "4")]


async def test_an_edit_is_no_new_message_to_followers(office: Office, ada: int, bob: int) -> None:
    await office.follow(ada)
    (message,) = await post(office.database, new(bob, "1"))
    await office.notify([message])
    await edit(office.database, message, "2", mentions=(bob,))
    await office.notify(edited=[message.seq])
    assert await office.shown(ada) == [("chat_activity", 1, "2")]


async def test_what_comes_twice_is_told_once(office: Office, ada: int, bob: int) -> None:
    (message,) = await post(office.database, new(bob, "1", mentions=(ada,)))
    for _ in range(2):
        await office.notify([message], [message])
    assert await office.shown(ada) == [("mention", 1, "1")]


async def test_every_device_hears_how_many_are_unread(office: Office, ada: int, bob: int) -> None:
    heard: list[News] = []
    for _ in range(2):
        office.hub.subscribe_user(ada, heard.append)
    await office.notify(await post(office.database, *(new(bob, mentions=(ada,)) for _ in range(2))))
    assert [news.type for news in heard] == ["notification"] * 4
    assert [(news.payload["seq"], news.payload["unread"]) for news in heard] == [
        (1, 2),
        (1, 2),
        (2, 2),
        (2, 2),
    ]


async def test_a_notice_is_for_those_it_names_but_not_for_who_caused_it(
    office: Office, ada: int, bob: int
) -> None:
    room = "workspace:900/a"

    def write(connection: Connection) -> None:
        enqueue_lock_taken(connection, room, "a", ada, bob, NOW_MS)
        enqueue_conflict(connection, room, "a", [bob, ada, 10**6], bob, NOW_MS)

    await office.database.write(write)
    await office.worker.work_off()
    assert await office.shown(ada) == [("lock_taken", 1, None), ("conflict", 1, None)]
    assert await office.shown(bob) == []


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_one_notice_that_makes_no_sense_keeps_no_other_back(office: Office, ada: int, bob: int) -> None:
    def write(connection: Connection) -> None:
        enqueue_lock_taken(connection, "workspace:900/a", "a", ada, bob, NOW_MS)
        enqueue(connection, NOTICE, {"sense": None}, NOW_MS)
        enqueue(connection, CHAT_MESSAGES, {}, NOW_MS)

    await office.database.write(write)
    await office.worker.work_off()
    assert await office.shown(ada) == [("lock_taken", 1, None)]


def test_what_jobs_hold_is_read_back_as_it_was() -> None:
    job = partial(
        Job, 1, "k", created_at_ms=0, due_at_ms=0, attempts=1, claimed_by=None, error=None, dead=False
    )
    for payload, sent in (('{"chat_id": 7, "sent": [1, 2], "edited": [3]}', SeqRange(1, 2)),):
        assert ChatMessages.of(job(payload=payload)) == ChatMessages(7, sent, [3])


def test_the_names_of_roles_are_those_of_tokens() -> None:
    assert [Role(number).name.lower() for number in range(5)] == list(ROLE_NAMES)


def test_every_kind_of_job_has_a_handler() -> None:
    handlers = FanOut(Hub(), lambda: NOW_MS, by_membership=True).handlers()
    assert set(handlers) == {"chat_messages", "notice", "broadcast"}
