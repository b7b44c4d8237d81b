"""Events of rooms: numbered without a gap, and whoever asks for more than is kept is told so."""

import asyncio
from functools import partial

import pytest

from crdt_store.engine import Database
from crdt_store.messages import ChatHead, Messages, RoomEvent, append_event, trim_events
from crdt_store.update_log import LogUnavailable
from tests.crdt_store.chatting import NOW_MS, ada, databases, messages

__all__ = ["ada", "databases", "messages"]

ROOM = "workspace:3/ä.md"


async def append(database: Database, room: str = ROOM, payload: str = "{}", sender: int | None = None) -> int:
    body = partial(append_event, room=room, type="message", payload=payload, sender_id=sender, now_ms=NOW_MS)
    return await database.write(body)


async def trim(database: Database, keep: int, room: str = ROOM) -> int:
    return await database.write(partial(trim_events, room=room, keep=keep))


async def missed(messages: Messages, seq: int, limit: int = 100) -> tuple[list[int], bool]:
    """The seqs of what came after `seq`, and whether there is a gap."""
    events, gap = await messages.events_after(ROOM, seq, limit)
    return [event.seq for event in events], gap


async def test_every_field_comes_back(messages: Messages, database: Database, ada: int) -> None:
    payload = '{"body": "Hé\\u0000 👍"}'
    assert await append(database, payload=payload, sender=ada) == 1
    assert await messages.events_after(ROOM, 0, 10) == (
        [RoomEvent(ROOM, 1, "message", payload, ada, NOW_MS)],
        False,
    )


async def test_each_room_counts_from_one(messages: Messages, database: Database) -> None:
    rooms = [ROOM, "chat:7", ROOM, "workspace:3/Ä.md", "chat:7", "chat:7"]
    assert [await append(database, room) for room in rooms] == [1, 1, 2, 1, 2, 3]
    assert await messages.heads([7, 3]) == {7: ChatHead(0, 3), 3: ChatHead(0, 0)}


async def test_who_was_away_gets_what_was_missed_in_pages(messages: Messages, database: Database) -> None:
    for _ in range(5):
        await append(database)
    assert await missed(messages, 0) == ([1, 2, 3, 4, 5], False)
    assert await missed(messages, 2, limit=2) == ([3, 4], False)
    assert await missed(messages, 4) == ([5], False)
    assert await missed(messages, 5) == ([], False)
    assert await missed(messages, 2, limit=0) == ([], False)


async def test_what_is_not_kept_is_a_gap(messages: Messages, database: Database) -> None:
    for _ in range(6):
        await append(database)
    assert await trim(database, 4) == 2
    assert await trim(database, 4) == 0
    assert await missed(messages, 1) == ([3, 4, 5, 6], True)
    assert await missed(messages, 0, limit=1) == ([3], True)
    assert await missed(messages, 0, limit=0) == ([], True)
    assert await missed(messages, 2) == ([3, 4, 5, 6], False)
    assert await trim(database, 0) == 4
    assert await missed(messages, 5) == ([], True)
    assert await missed(messages, 6) == ([], False)
    assert await append(database) == 7
    assert await missed(messages, 6) == ([7], False)


@pytest.mark.parametrize("seq", [2, 2**63, 10**30])
async def test_a_seq_that_the_room_never_had_is_a_gap(
    messages: Messages, database: Database, seq: int
) -> None:
    await append(database)
    assert await missed(messages, seq) == ([], True)


@pytest.mark.parametrize("seq", [-1, -(10**30)])
async def test_before_the_first_is_the_beginning(messages: Messages, database: Database, seq: int) -> None:
    await append(database)
    assert await missed(messages, seq) == ([1], False)


async def test_only_so_many_go_at_once(
    messages: Messages, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdt_store.room_events._TRIMMED_PER_CALL", 2)
    for _ in range(5):
        await append(database)
    await append(database, "chat:7")
    assert [await trim(database, 0) for _ in range(4)] == [2, 2, 1, 0]
    assert (await messages.events_after("chat:7", 0, 10))[0] != []


async def test_nodes_that_append_at_once_leave_no_gap(databases: list[Database]) -> None:
    async def write(database: Database) -> list[int]:
        return [await append(database) for _ in range(15)]

    seqs = await asyncio.gather(*(write(database) for database in databases))
    assert sorted(seq for each in seqs for seq in each) == list(range(1, 46))
    assert await missed(Messages(databases[0]), 0) == (list(range(1, 46)), False)


async def test_what_no_database_can_keep_is_replaced(messages: Messages, database: Database) -> None:
    assert await append(database, "chat:\0", payload="\ud800\0") == 1
    ((event,), gap) = await messages.events_after("chat:\0", 0, 10)
    assert (event.payload, gap) == ("\ufffd\ufffd", False)
    assert await trim(database, 0, "chat:\0") == 1


async def test_a_database_that_does_not_answer_is_unavailable(messages: Messages, database: Database) -> None:
    await database.close()
    with pytest.raises(LogUnavailable):
        await messages.events_after(ROOM, 0, 1)
