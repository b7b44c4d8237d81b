"""Messages: numbered without a gap in commit order, each once, whoever writes and however often."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection

from crdt_store.engine import Conflict, Database
from crdt_store.message_rows import MAX_UUID_CHARACTERS
from crdt_store.messages import ChatHead, Messages, NewMessage, StoredMessage, insert_messages
from crdt_store.prepared import Prepared
from crdt_store.update_log import LogUnavailable
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

BEYOND = [2**63, 10**30]


async def test_every_field_comes_back(messages: Messages, database: Database, ada: int, bob: int) -> None:
    written = NewMessage("a-1", ada, "Hé, 👍\n", "2026-01-02T03:04:05Z", reply_to="b-0", mentions=(bob, 99))
    (stored,) = await post(database, written)
    expected = StoredMessage(
        stored.id, CHAT, 1, "a-1", ada, "Hé, 👍\n", "b-0", written.sent_at, NOW_MS, None, False, (bob, 99)
    )
    assert stored == expected
    assert await messages.message(CHAT, "a-1", ada) == expected
    assert await messages.page(CHAT, before=None, limit=10) == [expected]


async def test_each_chat_counts_from_one(messages: Messages, database: Database, ada: int) -> None:
    chats = [CHAT, 10**18 - 1, CHAT]
    seqs = [(await post(database, new(ada), new(ada), chat_id=chat_id))[-1].seq for chat_id in chats]
    assert seqs == [2, 2, 4]
    assert await messages.heads([CHAT, 10**18 - 1, 1]) == {
        CHAT: ChatHead(4, 0),
        10**18 - 1: ChatHead(2, 0),
        1: ChatHead(0, 0),
    }


async def test_a_message_that_is_sent_again_is_the_one_that_was_sent(
    messages: Messages, database: Database, ada: int, bob: int
) -> None:
    first, other = await post(database, new(ada, "first", "same"), new(bob, "of another", "same"))
    again = await post(
        database, new(ada, "changed", "same"), new(ada, "new"), new(bob, "x", "same"), now_ms=NOW_MS + 1
    )
    assert [each.seq for each in again] == [1, 3, 2]
    assert [each.is_duplicate for each in again] == [True, False, True]
    assert (again[0], again[2]) == (replace(first, is_duplicate=True), replace(other, is_duplicate=True))
    assert (await post(database, new(ada, "elsewhere", "same"), chat_id=CHAT + 1))[0].is_duplicate is False
    assert [each.body for each in await messages.page(CHAT, before=None, limit=9)] == [
        "new",
        "of another",
        "first",
    ]


async def test_the_same_message_twice_at_once_is_one(
    messages: Messages, database: Database, ada: int
) -> None:
    found = await post(database, new(ada, "1", "u"), new(ada, "2", "v"), new(ada, "3", "u"))
    assert [(each.body, each.seq, each.is_duplicate) for each in found] == [
        ("1", 1, False),
        ("2", 2, False),
        ("1", 1, True),
    ]
    assert (await messages.heads([CHAT]))[CHAT].last_seq == 2


async def test_nothing_to_insert_is_nothing(messages: Messages, database: Database) -> None:
    assert await post(database) == []
    assert await messages.page(CHAT, before=None, limit=10) == []


async def test_a_transaction_that_fails_takes_no_seq(database: Database, ada: int) -> None:
    def fail(connection: Connection) -> None:
        insert_messages(connection, CHAT, [new(ada)], NOW_MS)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(fail)
    with pytest.raises(Conflict):
        await post(database, new(ada), new(99))
    assert [each.seq for each in await post(database, new(ada))] == [1]
    assert len(await sql(database, "SELECT * FROM message_words")) == 1


async def test_nodes_that_post_at_once_leave_no_gap(databases: list[Database], ada: int, bob: int) -> None:
    """In the order in which they commit: whoever reads on from the last seq misses none."""
    seen: list[int] = []
    reader = Messages(databases[2])

    async def write(database: Database, sender_id: int) -> None:
        for number in range(20):
            await post(database, *(new(sender_id, f"{number}") for _ in range(number % 3 + 1)))

    async def follow() -> None:
        while True:
            newest = await reader.page(CHAT, before=None, limit=200)
            fresh = sorted(each.seq for each in newest if not seen or each.seq > seen[-1])
            assert fresh == list(range(len(seen) + 1, len(seen) + 1 + len(fresh)))
            seen.extend(fresh)

    following = asyncio.ensure_future(follow())
    await asyncio.gather(write(databases[0], ada), write(databases[1], bob))
    assert not following.done()  # as it is when it has found a gap
    following.cancel()
    found = await reader.page(CHAT, before=None, limit=200)
    assert [each.seq for each in found] == list(range(len(found), 0, -1))
    assert len(found) == 2 * sum(number % 3 + 1 for number in range(20))
    assert (await reader.heads([CHAT]))[CHAT].last_seq == len(found)


async def test_one_message_that_two_nodes_bring_at_once_is_stored_once(
    databases: list[Database], ada: int
) -> None:
    for number in range(10):
        resent = [new(ada, uuid=f"r{number}-{index}") for index in range(5)]
        found = await asyncio.gather(*(post(database, *resent) for database in databases))
        assert len({tuple(each.seq for each in stored) for stored in found}) == 1
        assert sorted(stored[0].is_duplicate for stored in found) == [False, True, True]
    assert (await Messages(databases[0]).heads([CHAT]))[CHAT].last_seq == 50


class TestChange:
    async def test_an_edit_changes_text_and_mentions_alone(
        self, messages: Messages, database: Database, ada: int, bob: int
    ) -> None:
        (old,) = await post(database, new(ada, "old", mentions=(bob,), reply_to="x"))
        changed = await edit(database, old, "new", mentions=(ada,), now_ms=NOW_MS + 5)
        assert changed == replace(old, body="new", mentions=(ada,), edited_at_ms=NOW_MS + 5)
        assert await messages.message(CHAT, old.uuid, ada) == changed

    async def test_what_is_deleted_keeps_its_place_and_nothing_it_said(
        self, messages: Messages, database: Database, ada: int, bob: int
    ) -> None:
        old, after = await post(database, new(ada, "secret", mentions=(bob,)), new(ada, "after"))
        gone = await remove(database, old, now_ms=NOW_MS + 5)
        assert gone == replace(old, body="", mentions=(), edited_at_ms=NOW_MS + 5, deleted=True)
        assert await messages.page(CHAT, before=None, limit=10) == [after, gone]
        rows = await sql(database, "SELECT * FROM messages") + await sql(
            database, "SELECT * FROM message_words"
        )
        assert "secret" not in str(rows)

    async def test_what_is_deleted_stays_so(self, messages: Messages, database: Database, ada: int) -> None:
        (old,) = await post(database, new(ada))
        gone = await remove(database, old)
        assert await edit(database, old, "back") is None
        assert await remove(database, old) is None
        (again,) = await post(database, new(ada, "back", old.uuid))
        assert gone is not None
        assert again == replace(gone, is_duplicate=True)
        assert await messages.search("back", None, 10) == []

    async def test_nobody_changes_what_is_not_there_or_not_theirs(
        self, messages: Messages, database: Database, ada: int, bob: int
    ) -> None:
        (old,) = await post(database, new(ada))
        for other in (
            replace(old, sender_id=bob),
            replace(old, uuid="another"),
            replace(old, chat_id=CHAT + 1),
            replace(old, uuid="\0\ud800"),
            replace(old, uuid="x" * 100_000),
        ):
            assert await edit(database, other, "forged") is None
            assert await remove(database, other) is None
            assert await messages.message(other.chat_id, other.uuid, other.sender_id) is None
        assert await messages.page(CHAT, before=None, limit=10) == [old]


class TestPage:
    async def test_pages_follow_one_another_however_much_arrives(
        self, messages: Messages, database: Database, ada: int
    ) -> None:
        await post(database, *(new(ada) for _ in range(25)))
        found: list[int] = []
        before = None
        while page := await messages.page(CHAT, before=before, limit=10):
            found += [each.seq for each in page]
            before = page[-1].seq
            await post(database, new(ada), new(ada), chat_id=CHAT)
        assert found == list(range(25, 0, -1))

    @pytest.mark.parametrize("before", [-(10**30), -1, 0, 1])
    async def test_before_the_first_is_nothing(
        self, messages: Messages, database: Database, ada: int, before: int
    ) -> None:
        await post(database, new(ada))
        assert await messages.page(CHAT, before=before, limit=10) == []

    async def test_any_number_of_a_client_is_taken(
        self, messages: Messages, database: Database, ada: int
    ) -> None:
        (stored,) = await post(database, new(ada))
        for beyond in BEYOND:
            assert await messages.page(CHAT, before=beyond, limit=10) == [stored]
            assert await messages.search("hello", None, 10, beyond) == [stored]
        for limit in (0, -1):
            assert await messages.page(CHAT, before=None, limit=limit) == []
            assert await messages.search("hello", None, limit) == []


class TestTexts:
    @pytest.mark.parametrize(
        ("given", "kept"), [("a\0b", "a\ufffdb"), ("\ud800x", "\ufffdx"), ("\ud83d\udc4d", "👍")]
    )
    async def test_what_no_database_can_keep_is_replaced(
        self, messages: Messages, database: Database, ada: int, given: str, kept: str
    ) -> None:
        written = NewMessage(given, ada, given, given, reply_to=given)
        (stored,) = await post(database, written)
        assert (stored.uuid, stored.body, stored.sent_at, stored.reply_to) == (kept,) * 4
        assert (await post(database, written))[0].is_duplicate
        edited = await edit(database, replace(stored, uuid=given), given + "!")
        assert edited is not None
        assert edited.body == kept + "!"
        assert await messages.message(CHAT, given, ada) == edited

    async def test_a_long_text_is_kept_whole(self, messages: Messages, database: Database, ada: int) -> None:
        body = "".join(chr(0x4E00 + index % 20_000) for index in range(100_000)) + " end"
        uuid = "\U0001f44d" * MAX_UUID_CHARACTERS
        await post(database, new(ada, body, uuid))
        stored = await messages.message(CHAT, uuid, ada)
        assert stored is not None
        assert stored.body == body

    def test_an_id_that_no_index_can_keep_is_refused(self) -> None:
        with pytest.raises(ValueError, match="201 characters"):
            new(1, uuid="x" * (MAX_UUID_CHARACTERS + 1))


async def test_many_messages_take_few_statements(
    database: Database, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    compiled = Prepared._sql

    def counted(prepared: Prepared, connection: Connection) -> tuple[str, Sequence[str]]:
        sql, names = compiled(prepared, connection)
        statements.append(sql)
        return sql, names

    monkeypatch.setattr(Prepared, "_sql", counted)
    written = [new(ada) for _ in range(1000)]
    assert not any(each.is_duplicate for each in await post(database, *written))
    assert all(each.is_duplicate for each in await post(database, *written))
    assert 0 < len(statements) < 12


async def test_a_database_that_does_not_answer_is_unavailable(messages: Messages, database: Database) -> None:
    await database.close()
    with pytest.raises(LogUnavailable):
        await messages.page(CHAT, before=None, limit=1)
    with pytest.raises(LogUnavailable):
        await database.write(partial(insert_messages, chat_id=CHAT, new=[new(1)], now_ms=NOW_MS))
