"""Receipts only go up, and what is unread is what a model of the chat says, whatever happened in which order."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import Connection, insert, select

from crdt_store import receipts as receipts_module
from crdt_store.engine import Conflict, Database
from crdt_store.messages import Mark, Messages, Receipt, StoredMessage
from crdt_store.tables import MAX_ID, message_reads
from crdt_store.update_log import LogUnavailable
from crdt_store.users import UserDirectory
from tests.crdt_store.chatting import (
    CHAT,
    NOW_MS,
    ada,
    bob,
    databases,
    edit,
    messages,
    new,
    post,
    remove,
    sql,
)

__all__ = ["ada", "bob", "databases", "messages"]


async def reads(database: Database) -> list[tuple[int, int, datetime]]:
    """All rows of `message_reads`, in order of messages and users."""
    columns = message_reads.c.message_id, message_reads.c.user_id, message_reads.c.read_at

    def find(connection: Connection) -> list[tuple[int, int, datetime]]:
        return [tuple(record) for record in connection.execute(select(*columns).order_by(*columns))]

    return await database.read(find)


async def test_a_mark_goes_up_and_never_down(
    messages: Messages, database: Database, ada: int, bob: int
) -> None:
    await post(database, *(new(ada) for _ in range(5)))
    steps: list[tuple[str, int, tuple[int, int, int]]] = [
        ("delivered", 2, (2, 0, 0)),
        ("read", 1, (2, 1, 1)),
        ("delivered", 1, (2, 1, 1)),
        ("read", 4, (4, 4, 3)),
        ("read", 2, (4, 4, 3)),
        ("read", -3, (4, 4, 3)),
        ("delivered", 99, (5, 4, 6)),
        ("read", 10**30, (5, 5, 7)),
    ]
    for step, (kind, seq, (delivered, read, moved_at)) in enumerate(steps):
        mark = messages.mark_read if kind == "read" else messages.mark_delivered
        expected = Receipt(CHAT, bob, delivered, read, NOW_MS + moved_at)
        assert await mark(CHAT, bob, seq, NOW_MS + step) == expected
        assert await messages.receipts(CHAT) == [expected]


async def test_nobody_gets_ahead_of_a_chat_in_which_nothing_was_said(messages: Messages, ada: int) -> None:
    assert await messages.mark_read(CHAT, ada, 5, NOW_MS) == Receipt(CHAT, ada, 0, 0, NOW_MS)
    assert await messages.receipts(CHAT) == []


async def test_marks_come_in_batches(messages: Messages, database: Database, ada: int, bob: int) -> None:
    for chat_id in (CHAT, CHAT + 1):
        await post(database, new(ada), new(ada), new(ada), chat_id=chat_id)
    marks = [
        Mark(CHAT + 1, bob, delivered_seq=3),
        Mark(CHAT, bob, read_seq=1),
        Mark(CHAT, ada, delivered_seq=1),
        Mark(CHAT, bob, delivered_seq=2),
        Mark(CHAT, bob),
    ]
    found = await messages.mark(marks, NOW_MS)
    assert [each.after for each in found] == [
        Receipt(CHAT, ada, 1, 0, NOW_MS),
        Receipt(CHAT, bob, 2, 1, NOW_MS),
        Receipt(CHAT + 1, bob, 3, 0, NOW_MS),
    ]
    assert await messages.receipts(CHAT) == [each.after for each in found[:2]]
    assert await messages.mark([], NOW_MS) == []


async def test_who_marks_is_told_what_moved(
    messages: Messages, database: Database, ada: int, bob: int
) -> None:
    await post(database, new(ada), new(ada))
    [(before, after)] = await messages.mark([Mark(CHAT, bob, delivered_seq=1)], NOW_MS)
    assert (before, after) == (Receipt(CHAT, bob, 0, 0, NOW_MS), Receipt(CHAT, bob, 1, 0, NOW_MS))
    ((_, still), moved) = await messages.mark([Mark(CHAT, bob, 1), Mark(CHAT + 1, bob, 1)], NOW_MS + 1)
    assert still == after
    assert moved.before == moved.after == Receipt(CHAT + 1, bob, 0, 0, NOW_MS + 1)
    [(before, after)] = await messages.mark([Mark(CHAT, bob, read_seq=9)], NOW_MS + 2)
    assert (before, after) == (still, Receipt(CHAT, bob, 2, 2, NOW_MS + 2))


async def test_the_chats_in_which_a_user_has_got_something_are_listed(
    messages: Messages, database: Database, ada: int, bob: int
) -> None:
    for chat_id in (CHAT, CHAT + 1, CHAT + 2, CHAT + 3):
        await post(database, new(ada), chat_id=chat_id)
    await messages.mark_delivered(CHAT + 2, bob, 1, NOW_MS)
    await messages.mark_read(CHAT, bob, 1, NOW_MS + 1)
    await messages.mark_read(CHAT + 1, bob, 1, NOW_MS + 1)
    await messages.mark_read(CHAT + 3, ada, 1, NOW_MS + 1)
    assert await messages.chats_of(bob, 10) == [CHAT, CHAT + 1, CHAT + 2]
    assert await messages.chats_of(bob, 2) == [CHAT, CHAT + 1]
    assert await messages.chats_of(bob, 0) == await messages.chats_of(10**30, 10) == []


async def test_all_members_of_a_large_chat_can_be_marked_at_once(
    messages: Messages, database: Database, ada: int
) -> None:
    directory = UserDirectory(database)
    members = [await directory.id_of("i", f"s{number}", "n") for number in range(600)]
    await post(database, new(ada))
    found = await messages.mark([Mark(CHAT, user_id, read_seq=1) for user_id in members], NOW_MS)
    marks = [(each.after.user_id, each.after.read_seq) for each in found]
    assert marks == [(user_id, 1) for user_id in sorted(members)]
    assert len(await reads(database)) == 600


async def test_a_user_that_there_is_not_has_no_mark(messages: Messages, database: Database, ada: int) -> None:
    await post(database, new(ada))
    with pytest.raises(Conflict):
        await messages.mark_read(CHAT, 99, 1, NOW_MS)
    assert await messages.receipts(CHAT) == []


async def test_who_read_others_messages_when_is_kept(
    messages: Messages, database: Database, ada: int, bob: int
) -> None:
    first, gone, own, second = await post(database, new(ada), new(ada), new(bob), new(ada))
    await remove(database, gone)
    times = [datetime.fromtimestamp((NOW_MS + step) / 1000, UTC) for step in range(3)]
    await messages.mark_read(CHAT, bob, 3, NOW_MS)
    await messages.mark_read(CHAT, bob, 2, NOW_MS + 1)
    await messages.mark_delivered(CHAT, bob, 4, NOW_MS + 1)
    assert await reads(database) == [(first.id, bob, times[0])]
    await messages.mark_read(CHAT, bob, 4, NOW_MS + 2)
    await messages.mark_read(CHAT, ada, 4, NOW_MS + 2)
    expected = [(first.id, bob, times[0]), (own.id, ada, times[2]), (second.id, bob, times[2])]
    assert await reads(database) == expected
    await edit(database, first, "changed")
    await remove(database, second)
    assert await reads(database) == expected


async def test_a_read_that_is_noted_already_is_no_fault(
    messages: Messages, database: Database, ada: int, bob: int
) -> None:
    (stored,) = await post(database, new(ada))
    noted = {"message_id": stored.id, "user_id": bob, "read_at": datetime(2026, 1, 1, tzinfo=UTC)}
    await database.write(lambda connection: connection.execute(insert(message_reads), noted).rowcount)
    assert (await messages.mark_read(CHAT, bob, 1, NOW_MS)).read_seq == 1
    assert [row[2] for row in await reads(database)] == [noted["read_at"]]


async def test_of_what_is_long_past_only_the_mark_is_kept(
    messages: Messages, database: Database, ada: int, bob: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts_module, "_ROWS_PER_MARK", 3)
    stored = await post(database, *(new(ada) for _ in range(10)))
    assert (await messages.mark_read(CHAT, bob, 9, NOW_MS)).read_seq == 9
    assert [row[0] for row in await reads(database)] == [each.id for each in stored[6:9]]
    assert await messages.unread(bob, [CHAT]) == {CHAT: 1}


async def test_marks_that_race_end_at_the_highest(databases: list[Database], ada: int, bob: int) -> None:
    nodes = [Messages(database) for database in databases]
    stored = await post(databases[0], *(new(ada) for _ in range(60)))
    for end in range(3, 61, 3):
        seqs = random.Random(end).sample(range(end - 2, end + 1), 3)
        await asyncio.gather(
            *(node.mark_read(CHAT, bob, seq, NOW_MS) for node, seq in zip(nodes, seqs, strict=True)),
            *(node.mark_delivered(CHAT, bob, end, NOW_MS) for node in nodes),
        )
        (receipt,) = await nodes[0].receipts(CHAT)
        assert (receipt.delivered_seq, receipt.read_seq) == (end, end)
    assert [row[0] for row in await reads(databases[0])] == [each.id for each in stored]


async def test_nobody_ever_sees_a_mark_go_down(databases: list[Database], ada: int, bob: int) -> None:
    nodes = [Messages(database) for database in databases]
    rng = random.Random(1)

    async def mark(node: Messages) -> None:
        delivered_seq = read_seq = 0
        for top in range(1, 30):
            await (rng.choice([node.mark_read, node.mark_delivered]))(CHAT, bob, rng.randint(0, top), NOW_MS)
            (receipt,) = await rng.choice(nodes).receipts(CHAT)
            assert receipt.delivered_seq >= delivered_seq
            assert receipt.read_seq >= read_seq
            delivered_seq, read_seq = receipt.delivered_seq, receipt.read_seq

    await post(databases[0], *(new(ada) for _ in range(30)))
    await asyncio.gather(*(mark(node) for node in nodes))
    assert (await nodes[0].receipts(CHAT))[0].read_seq > 0


async def test_batches_that_overlap_do_not_wait_for_each_other(
    databases: list[Database], ada: int, bob: int
) -> None:
    users = [ada, bob]
    for chat_id in range(1, 4):
        await post(databases[0], new(ada), new(bob), chat_id=chat_id)

    async def mark(database: Database, rng: random.Random) -> None:
        for _ in range(15):
            marks = [Mark(chat_id, user, 0, rng.randint(0, 2)) for chat_id in range(1, 4) for user in users]
            rng.shuffle(marks)
            await Messages(database).mark(marks[: rng.randint(1, 6)], NOW_MS)

    await asyncio.gather(*(mark(each, random.Random(index)) for index, each in enumerate(databases)))
    assert len(await sql(databases[0], "SELECT * FROM receipts")) == 6


async def test_nobody_in_particular_has_read_nothing(
    messages: Messages, database: Database, ada: int
) -> None:
    await post(database, new(ada), new(ada))
    for nobody in (-1, 0, 99, MAX_ID + 1, 10**30):
        assert await messages.unread(nobody, [CHAT, CHAT + 1]) == {CHAT: 2, CHAT + 1: 0}
    assert await messages.unread(ada, []) == {}
    assert (await messages.unread(ada, range(1, 2001)))[CHAT] == 0


@dataclass
class Model:
    """A chat as it has to be: what was sent, which seqs are deleted, each user's mark."""

    sent: list[StoredMessage] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    read: dict[int, int] = field(default_factory=dict)

    def unread(self, user_id: int) -> int:
        after = self.read.get(user_id, 0)
        return sum(
            each.seq > after and each.seq not in self.deleted and each.sender_id != user_id
            for each in self.sent
        )


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_unread_is_as_a_model_says(
    databases: list[Database], ada: int, bob: int, seed: int
) -> None:
    rng = random.Random(seed)
    carl = await UserDirectory(databases[0]).id_of("i", "carl", "Carl")
    users, chats = [ada, bob, carl], {chat_id: Model() for chat_id in (1, 2)}
    for step in range(120):
        database = rng.choice(databases)
        chat_id = rng.choice(list(chats))
        model, user_id = chats[chat_id], rng.choice(users)
        what = rng.choice(["send", "send", "resend", "edit", "delete", "read", "delivered"])
        if what == "send":
            model.sent += await post(
                database, *(new(user_id) for _ in range(rng.randint(1, 3))), chat_id=chat_id
            )
        elif what in ("resend", "edit", "delete") and model.sent:
            old = rng.choice(model.sent)
            if what == "resend":
                await post(database, new(old.sender_id, "again", old.uuid), chat_id=chat_id)
            elif what == "edit":
                await edit(database, old, f"edited {step}")
            else:
                await remove(database, old)
                model.deleted.add(old.seq)
        elif what == "read":
            seq = rng.randint(-1, len(model.sent) + 2)
            await Messages(database).mark_read(chat_id, user_id, seq, NOW_MS)
            model.read[user_id] = max(model.read.get(user_id, 0), min(seq, len(model.sent)))
        elif what == "delivered":
            await Messages(database).mark_delivered(chat_id, user_id, len(model.sent), NOW_MS)
        for each in users:
            found = await Messages(rng.choice(databases)).unread(each, chats)
            assert found == {chat_id: model.unread(each) for chat_id, model in chats.items()}
    assert sum(len(model.deleted) for model in chats.values()) > 5
    assert max(max(model.read.values()) for model in chats.values()) > 5


async def test_a_database_that_does_not_answer_is_unavailable(messages: Messages, database: Database) -> None:
    await database.close()
    for ask in (partial(messages.unread, 1, [CHAT]), partial(messages.mark_read, CHAT, 1, 1, NOW_MS)):
        with pytest.raises(LogUnavailable):
            await ask()
