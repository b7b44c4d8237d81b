"""Notifications in the store: each once, counted, listed by the one they are for, and given to readers alone."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, TypeVar

import anyio
import pytest
from sqlalchemy import Connection

from crdt_store.engine import Database
from crdt_store.memberships import Memberships
from crdt_store.message_rows import StoredMessage
from crdt_store.notifications import Notification, Notifications
from crdt_store.notifications_adding import Added, Notice, add, count_up, unread_of
from crdt_store.notifications_messages import Audience, SeqRange, audience_of, read_messages
from crdt_store.notifications_preferences import (
    EVERYWHERE,
    MAX_ROOMS,
    Level,
    is_wanted,
    levels_of,
)
from crdt_store.notifications_readers import readers_of, user_ids_after
from crdt_store.projects import Projects
from crdt_store.tables import MAX_ID
from crdt_store.users import UserDirectory
from tests.crdt_store.chatting import CHAT, NOW_MS, ada, bob, databases, edit, new, post, remove
from tests.crdt_store.test_statements import at_most

__all__ = ["ada", "bob", "databases"]

T = TypeVar("T")
ROOM = f"chat:{CHAT}"


class Store:
    """One database: what there is to be told, and who was told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.notifications = Notifications(database)
        self._users = UserDirectory(database)

    async def somebody(self, name: str) -> int:
        return await self._users.id_of("i", name, name)

    async def run(self, body: Callable[[Connection], T]) -> T:
        return await self.database.write(body)

    async def add(self, notice: Notice, *user_ids: int) -> list[Added]:
        return await self.run(partial(add, notice=notice, user_ids=user_ids, now_ms=NOW_MS))

    async def count_up(
        self, notice: Notice, number: int, *user_ids: int, now_ms: int = NOW_MS
    ) -> list[Added]:
        return await self.run(
            partial(count_up, notice=notice, user_ids=user_ids, number=number, now_ms=now_ms)
        )

    async def page(
        self, user_id: int, before: int | None = None, limit: int = 10, **more: bool
    ) -> list[Notification]:
        return await self.notifications.page(user_id, before=before, limit=limit, **more)

    async def readers(self, room: str, *user_ids: int, by_membership: bool = True) -> set[int]:
        return await self.run(partial(readers_of, room=room, user_ids=user_ids, by_membership=by_membership))


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


def notice(key: str = "k", **more: Any) -> Notice:
    return Notice("system", "global", None, key, **more)


# Adding


async def test_a_user_gets_each_once(store: Store, ada: int, bob: int) -> None:
    added = await store.add(notice(), bob, ada)
    assert [each.user_id for each in added] == [ada, bob]
    assert await store.add(notice(), ada, bob) == []
    carol = await store.somebody("carol")
    assert [each.user_id for each in await store.add(notice(), ada, carol)] == [carol]
    assert [each.user_id for each in await store.add(notice("other"), ada)] == [ada]


async def test_who_is_nobody_gets_nothing(store: Store, ada: int) -> None:
    added = await store.add(notice(), ada, MAX_ID, 10**15, 0, -1)
    assert [each.user_id for each in added] == [ada]
    assert await store.add(notice("other")) == []


async def test_what_was_added_is_shown(store: Store, ada: int, bob: int) -> None:
    payload = {"text": "Hé \0 \ud800 👍", "path": "a/b"}
    (added,) = await store.add(Notice("system", "global", bob, "k", payload), ada)
    shown = Notification(
        id=added.id,
        user_id=ada,
        kind="system",
        room="global",
        actor_id=bob,
        payload={"path": "a/b"},
        count=1,
        created_at_ms=NOW_MS,
        read_at_ms=None,
        archived=False,
        message_uuid=None,
        seq=None,
        text=payload["text"],
    )
    assert await store.page(ada) == [shown]
    assert await store.page(bob) == []


async def test_the_text_of_a_message_is_what_it_says_now(store: Store, ada: int, bob: int) -> None:
    (message,) = await post(store.database, new(bob, "first"))
    await store.add(Notice("mention", ROOM, bob, "k", message=message), ada)
    (shown,) = await store.page(ada)
    assert (shown.text, shown.seq, shown.message_uuid, shown.actor_id) == ("first", 1, message.uuid, bob)
    await edit(store.database, message, "second")
    assert [each.text for each in await store.page(ada)] == ["second"]
    await remove(store.database, message)
    assert [each.text for each in await store.page(ada)] == [None]


async def test_what_counts_up_is_one_until_it_is_read(store: Store, ada: int, bob: int) -> None:
    (first,) = await store.count_up(notice(), 2, ada)
    (second,), (bobs,) = await store.count_up(notice(), 3, ada), await store.count_up(notice(), 1, bob)
    assert (first.count, second.count, bobs.count) == (2, 5, 1)
    assert second.id == first.id
    await store.notifications.mark_read(ada, first.id, NOW_MS)
    (third,) = await store.count_up(notice(), 1, ada, now_ms=NOW_MS + 1)
    assert (third.count, third.id > bobs.id, third.created_at_ms) == (1, True, NOW_MS + 1)
    assert [(each.id, each.count) for each in await store.page(ada)] == [(third.id, 1), (first.id, 5)]
    await store.notifications.mark_read(ada, third.id, NOW_MS)
    (fourth,) = await store.count_up(notice(), 1, ada)
    assert (fourth.count, fourth.id > third.id) == (1, True)


async def test_nothing_is_lost_when_many_count_at_once(databases: list[Database], ada: int) -> None:
    stores = [Store(database) for database in databases]
    async with anyio.create_task_group() as tasks:
        for number in range(15):
            tasks.start_soon(stores[number % 3].count_up, notice(), 2, ada)
    (shown,) = await stores[0].page(ada)
    assert shown.count == 30


async def test_telling_many_takes_few_statements(store: Store) -> None:
    user_ids = [await store.somebody(str(number)) for number in range(50)]
    with at_most(1):
        assert len(await store.add(notice(), *user_ids)) == 50
    with at_most(2):
        assert len(await store.count_up(notice("c"), 1, *user_ids)) == 50


# Reading


async def test_pages_are_newest_first_and_each_users_own(store: Store, ada: int, bob: int) -> None:
    ids = [(await store.add(notice(str(number)), ada, bob))[0].id for number in range(5)]
    first = await store.page(ada, limit=2)
    rest = await store.page(ada, before=first[-1].id)
    assert [each.id for each in (*first, *rest)] == ids[::-1]
    assert {each.user_id for each in (*first, *rest)} == {ada}
    assert await store.page(ada, before=-1) == await store.page(ada, limit=0) == []
    assert len(await store.page(ada, before=10**30)) == 5


async def test_what_is_read_is_not_unread_any_more_and_stays_so(store: Store, ada: int, bob: int) -> None:
    one, other = [(await store.add(notice(key), ada))[0].id for key in "ab"]
    assert await store.notifications.unread(ada) == 2
    assert await store.notifications.mark_read(ada, one, NOW_MS) == 1
    assert await store.notifications.mark_read(ada, one, NOW_MS + 9) == 1
    assert [each.id for each in await store.page(ada, unread=True)] == [other]
    assert [each.read_at_ms for each in await store.page(ada)] == [None, NOW_MS]
    assert await store.notifications.unread(bob) == 0


async def test_nobody_reads_or_archives_what_is_anothers(store: Store, ada: int, bob: int) -> None:
    (added,) = await store.add(notice(), ada)
    for number in (added.id, added.id + 1, 0, -1, 10**30):
        assert await store.notifications.mark_read(bob, number, NOW_MS) is None
        assert await store.notifications.archive(bob, number, NOW_MS) is None
    assert await store.notifications.mark_all_read(bob, None, NOW_MS) == 0
    assert await store.notifications.unread(ada) == 1


async def test_what_is_put_away_is_read_and_listed_apart(store: Store, ada: int) -> None:
    one, other = [(await store.add(notice(key), ada))[0].id for key in "ab"]
    assert await store.notifications.archive(ada, one, NOW_MS) == 1
    assert [each.id for each in await store.page(ada)] == [other]
    (put_away,) = await store.page(ada, archived=True)
    assert (put_away.id, put_away.archived, put_away.read_at_ms) == (one, True, NOW_MS)
    assert await store.add(notice("a"), ada) == []


async def test_all_can_be_read_or_all_up_to_one(store: Store, ada: int, bob: int) -> None:
    ids = [(await store.add(notice(key), ada, bob))[0].id for key in "abc"]
    assert await store.notifications.mark_all_read(ada, ids[1], NOW_MS) == 1
    assert [each.id for each in await store.page(ada, unread=True)] == [ids[2]]
    assert await store.notifications.mark_all_read(ada, None, NOW_MS) == 0
    assert await store.run(partial(unread_of, user_ids=[ada, bob, 10**6])) == {ada: 0, bob: 3, 10**6: 0}


# Preferences


async def test_who_has_said_nothing_wants_mentions(store: Store, ada: int) -> None:
    assert await store.notifications.preferences(ada) == (Level.MENTIONS, {})
    assert await store.run(partial(levels_of, room=ROOM, user_ids=[ada])) == {ada: Level.MENTIONS}
    assert not await store.run(partial(is_wanted, room=ROOM))


async def test_what_is_said_of_a_room_counts_before_what_is_said_of_all(
    store: Store, ada: int, bob: int
) -> None:
    await store.notifications.prefer(ada, EVERYWHERE, Level.MUTE)
    await store.notifications.prefer(bob, ROOM, Level.MUTE)
    await store.notifications.prefer(ada, ROOM, Level.MENTIONS)
    await store.notifications.prefer(ada, ROOM, Level.ALL)
    for room, levels in ((ROOM, (Level.ALL, Level.MUTE)), ("chat:8", (Level.MUTE, Level.MENTIONS))):
        found = await store.run(partial(levels_of, room=room, user_ids=[ada, bob]))
        assert found == dict(zip((ada, bob), levels, strict=True))
    assert await store.notifications.preferences(ada) == (Level.MUTE, {ROOM: Level.ALL})
    await store.notifications.prefer(ada, EVERYWHERE, None)
    await store.notifications.prefer(ada, ROOM, None)
    await store.notifications.prefer(ada, "chat:9", None)
    assert await store.notifications.preferences(ada) == (Level.MENTIONS, {})


async def test_a_room_is_wanted_where_anybody_may_want_all_of_it(store: Store, ada: int, bob: int) -> None:
    async def wanted(room: str) -> bool:
        return await store.run(partial(is_wanted, room=room))

    await store.notifications.prefer(ada, ROOM, Level.ALL)
    assert (await wanted(ROOM), await wanted("chat:8")) == (True, False)
    await store.notifications.prefer(ada, ROOM, Level.MUTE)
    assert not await wanted(ROOM)
    await store.notifications.prefer(bob, EVERYWHERE, Level.ALL)
    assert (await wanted(ROOM), await wanted("chat:8")) == (True, True)


async def test_nobody_says_something_of_rooms_without_end(
    store: Store, ada: int, bob: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdt_store.notifications_preferences.MAX_ROOMS", 2)
    assert MAX_ROOMS > 2
    assert await store.notifications.prefer(ada, ROOM, Level.ALL)
    assert await store.notifications.prefer(ada, "chat:8", Level.ALL)
    assert not await store.notifications.prefer(ada, "chat:9", Level.ALL)
    assert await store.notifications.prefer(ada, ROOM, Level.MUTE)
    assert await store.notifications.prefer(bob, ROOM, Level.MUTE)


# Readers


async def test_readers_are_those_whose_nearest_role_is_one(store: Store) -> None:
    root, of_project, of_file, shut_out, stranger = [await store.somebody(name) for name in "rpfsx"]
    projects, memberships = Projects(store.database), Memberships(store.database)
    project = (await projects.create_project("Game", created_by=root)).id
    workspace = (await projects.create_workspace(project, "Main")).id
    everybody = root, of_project, of_file, shut_out, stranger
    file = f"workspace:{workspace}/a.md"
    for user_id, scope, role in (
        (of_project, f"project:{project}", 1),
        (of_file, file, 1),
        (shut_out, f"project:{project}", 2),
        (shut_out, f"workspace:{workspace}", 0),
    ):
        await memberships.set_role(scope, user_id, role, set_by=root)
    assert await store.readers(file, *everybody) == {root, of_project, of_file}
    assert await store.readers(f"workspace:{workspace}", *everybody) == {root, of_project}
    assert await store.readers(f"project:{project}", *everybody) == {root, of_project, shut_out}
    assert await store.readers(file, *everybody, by_membership=False) == set(everybody)
    await projects.delete_project(project)
    assert await store.readers(file, *everybody) == set()
    assert await store.readers(file, *everybody, by_membership=False) == set()


async def test_what_is_in_no_project_is_left_to_the_token(store: Store, ada: int) -> None:
    for room in ("chat:900", "workspace:900/a", "global", "chat:999999999999999999"):
        assert await store.readers(room, ada) == {ada}


async def test_users_are_gone_through_in_parts(store: Store, ada: int, bob: int) -> None:
    assert await store.run(partial(user_ids_after, after=0, limit=1)) == [ada]
    assert await store.run(partial(user_ids_after, after=ada, limit=5)) == [bob]
    assert await store.run(partial(user_ids_after, after=bob, limit=5)) == []


# Whom messages concern


async def audience(
    store: Store, sent: Collection[StoredMessage], chat_id: int = CHAT
) -> tuple[list[tuple[set[int], set[int]]], set[int]]:
    find: Callable[[Connection], Audience] = lambda connection: audience_of(  # noqa: E731
        connection, chat_id, sent, by_membership=True
    )
    found = await store.run(find)
    return [(mentioned, answered) for _, mentioned, answered in found.addressed], found.followers


async def test_a_message_concerns_whom_it_mentions_and_whom_it_answers(
    store: Store, ada: int, bob: int
) -> None:
    carol = await store.somebody("carol")
    asked, also, others = await post(store.database, new(ada), new(bob), new(carol, uuid="same"))
    await post(store.database, new(ada, uuid="same"))
    for message, expected in (
        (new(bob, reply_to=asked.uuid, mentions=(carol, bob)), ({carol}, {ada})),
        (new(bob, reply_to=asked.uuid, mentions=(ada,)), ({ada}, set())),
        (new(bob, reply_to=also.uuid), (set(), set())),
        (new(bob, reply_to="nobody's \0 \ud800"), (set(), set())),
        (new(bob, reply_to=others.uuid), (set(), {carol, ada})),
    ):
        assert await audience(store, await post(store.database, message)) == ([expected], set())


async def test_who_has_muted_a_chat_is_told_of_nothing_in_it(store: Store, ada: int, bob: int) -> None:
    sent = await post(store.database, new(bob, mentions=(ada,)))
    await store.notifications.prefer(ada, ROOM, Level.MUTE)
    assert await audience(store, sent) == ([(set(), set())], set())


async def test_followers_are_those_who_want_all_here_and_people_of_the_chat_who_want_all_everywhere(
    store: Store, ada: int, bob: int
) -> None:
    carol, stranger = await store.somebody("carol"), await store.somebody("stranger")
    sent = await post(store.database, new(bob), new(carol))
    await store.notifications.prefer(ada, ROOM, Level.ALL)
    for user_id in (bob, carol, stranger):
        await store.notifications.prefer(user_id, EVERYWHERE, Level.ALL)
    await store.notifications.prefer(carol, ROOM, Level.MENTIONS)
    assert (await audience(store, sent))[1] == {ada, bob}


async def test_who_may_not_read_a_chat_any_more_is_told_of_nothing(store: Store, ada: int, bob: int) -> None:
    projects, memberships = Projects(store.database), Memberships(store.database)
    project = (await projects.create_project("Game", created_by=bob)).id
    chat = (await projects.create_chat(project, "Talk")).id
    await memberships.set_role(f"chat:{chat}", ada, 1, set_by=bob)
    (first,) = await post(store.database, new(ada), chat_id=chat)
    sent = await post(store.database, new(bob, mentions=(ada,), reply_to=first.uuid), chat_id=chat)
    await store.notifications.prefer(ada, f"chat:{chat}", Level.ALL)
    assert await audience(store, sent, chat) == ([({ada}, set())], {ada})
    await memberships.remove(f"chat:{chat}", ada)
    assert await audience(store, sent, chat) == ([(set(), set())], set())


async def test_messages_are_read_by_their_seqs_but_for_the_deleted(store: Store, ada: int) -> None:
    sent = await post(store.database, *(new(ada, str(number)) for number in range(1, 9)))
    await remove(store.database, sent[1])

    async def read(ranges: Iterable[tuple[int, int]], seqs: Iterable[int] = ()) -> list[int]:
        wanted = [SeqRange(*each) for each in ranges]
        found = await store.run(partial(read_messages, chat_id=CHAT, ranges=wanted, seqs=list(seqs)))
        return [message.seq for message in found]

    assert await read([(1, 3), (3, 4)], [8, 3, 2]) == [1, 3, 4, 8]
    assert await read([(6, 100)]) == [6, 7, 8]
    assert await read([], []) == []
