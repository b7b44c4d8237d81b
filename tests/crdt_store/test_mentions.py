"""Mentions: only people of the chat, by id or by name, however the name is written; and never much work."""

import sqlite3
import time
import unicodedata
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from crdt_store.engine import Database
from crdt_store.memberships import Memberships
from crdt_store.mentions import MAX_MENTIONS, mentioned
from crdt_store.messages import Messages
from crdt_store.projects import Projects
from crdt_store.tables import MAX_ID, memberships, users, utc_now
from crdt_store.users import UserDirectory
from tests.crdt_store.chatting import NOW_MS, new, post
from tests.crdt_store.test_long_chats import FILL, steps_of
from tests.crdt_store.test_statements import at_most

PLAIN_CHAT = 900  # of no project


class People:
    """A chat of a project whose admin is `root`; people are made by their names."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._users = UserDirectory(database)
        self._memberships = Memberships(database)

    async def begin(self) -> "People":
        self.root = await self.somebody("root")
        projects = Projects(self.database)
        self.project = (await projects.create_project("Forest", created_by=self.root)).id
        self.chat = (await projects.create_chat(self.project, "Talk")).id
        return self

    async def somebody(self, name: str, subject: str | None = None) -> int:
        """A user who has nothing to do with the chat."""
        return await self._users.id_of("i", subject or name, name)

    async def set_role(self, user_id: int, role: int, *, in_chat: bool = False) -> None:
        scope = f"chat:{self.chat}" if in_chat else f"project:{self.project}"
        await self._memberships.set_role(scope, user_id, role, set_by=self.root)

    async def member(self, name: str, subject: str | None = None) -> int:
        user_id = await self.somebody(name, subject)
        await self.set_role(user_id, 1)
        return user_id

    async def mentioned(
        self, body: str = "", explicit: Sequence[int] = (), chat_id: int | None = None
    ) -> tuple[int, ...]:
        chat_id = self.chat if chat_id is None else chat_id
        find = partial(mentioned, chat_id=chat_id, body=body, explicit=explicit)
        return await self.database.write(find)


@pytest.fixture
async def people(database: Database) -> People:
    return await People(database).begin()


# Who can be meant


async def test_members_of_the_chat_and_of_its_project_are_people_of_it(people: People) -> None:
    of_project = await people.member("Ada")
    of_chat = await people.somebody("Bob")
    await people.set_role(of_chat, 1, in_chat=True)
    await people.somebody("Eve")
    assert await people.mentioned("@eve @bob @ada") == (of_chat, of_project)


async def test_who_has_written_or_received_something_is_one_too(people: People) -> None:
    """That is all there is to go by in a chat of no project."""
    author, other, reader, stranger = [await people.somebody(name) for name in ("Ada", "Bob", "Cy", "Eve")]
    await post(people.database, new(author), new(other), new(author), chat_id=PLAIN_CHAT)
    await Messages(people.database).mark_delivered(PLAIN_CHAT, reader, 1, NOW_MS)
    everybody = [author, other, reader, stranger]
    assert await people.mentioned("", everybody, PLAIN_CHAT) == (author, other, reader)
    assert await people.mentioned("@ada @bob @cy @eve", chat_id=PLAIN_CHAT) == (author, other, reader)
    assert await people.mentioned("@ada @bob @cy @eve", everybody) == ()


@pytest.mark.parametrize("in_chat", [False, True])
async def test_who_is_shut_out_is_not_mentioned(people: People, in_chat: bool) -> None:
    ada = await people.member("Ada")
    await post(people.database, new(ada), chat_id=people.chat)
    assert await people.mentioned("@ada", [ada]) == (ada,)
    await people.set_role(ada, 0, in_chat=in_chat)
    assert await people.mentioned("@ada", [ada]) == ()


async def test_the_role_in_the_chat_counts_before_that_in_the_project(people: People) -> None:
    ada = await people.somebody("Ada")
    await people.set_role(ada, 0)
    await people.set_role(ada, 1, in_chat=True)
    assert await people.mentioned("@ada") == await people.mentioned("", [ada]) == (ada,)


async def test_people_of_another_chat_are_not_mentioned(people: People) -> None:
    await people.member("Ada")
    projects = Projects(people.database)
    other = await projects.create_project("Desert", created_by=people.root)
    chat = await projects.create_chat(other.id, "Talk")
    assert await people.mentioned("@ada @root", chat_id=chat.id) == (people.root,)


# Ids


async def test_ids_that_are_no_people_of_the_chat_are_left_out(people: People) -> None:
    ada, stranger = await people.member("Ada"), await people.somebody("Eve")
    ids = [stranger, -1, 0, 10**30, MAX_ID, MAX_ID + 1, people.root, 2**63, ada, people.root]
    assert await people.mentioned("", ids) == (people.root, ada)


@pytest.mark.parametrize("chat_id", [1, MAX_ID + 1, 10**18 - 1])
async def test_a_chat_of_which_nobody_knows_anything_has_no_people(people: People, chat_id: int) -> None:
    assert await people.mentioned("@root", [people.root], chat_id + people.chat) == ()


async def test_ids_come_before_names_and_each_once(people: People) -> None:
    ada, bob, cy = [await people.member(name) for name in ("Ada", "Bob", "Cy")]
    assert await people.mentioned("@cy, @ada, @bob, @cy", [bob, cy]) == (bob, cy, ada)


# Names

TEXTS = [
    ("hello @Ada", ["Ada"]),
    ("@ADA", ["Ada"]),
    ("(@ada), '@bob!'", ["Ada", "Bob"]),
    ("@bob\n@ada's", ["Bob", "Ada"]),
    ('see @"Ada Lovelace".', ["Ada Lovelace"]),
    ('@" ada   lovelace "', ["Ada Lovelace"]),
    ("@Ada Lovelace and @ada", ["Ada Lovelace", "Ada"]),
    ("@Ada\nLovelace", ["Ada"]),
    ('@"Ada" Lovelace', ["Ada"]),
    ('@"ada" @"nobody, @bob" @"bob', ["Ada", "Bob"]),
    ("@ada.lovelace.", ["Ada.Lovelace"]),
    ("@ada.love", ["Ada"]),
    ("@adam @ad @ada_ @ada1", []),
    ("x@ada 1@ada _@ada é@ada", []),
    ("@@ada", ["Ada"]),
    ("@ada@bob", ["Ada"]),
    ("@bob@example.com", ["bob@example.com"]),
    ("bob@example.com", []),
    ("@ ada @", []),
    ("ada", []),
    ("@strasse @STRAßE", ["Straße"]),
    ("@élan @E\u0301LAN", ["Élan"]),
    ("@e\u0301lan", ["Élan"]),
    ("@田中、@田中さん", ["田中"]),
    ('@"田中"さん', ["田中"]),
    ("@नम @नमस्ते", ["नमस्ते"]),
    ("@c++ is @C", ["C++", "C"]),
    ("@\u2603", ["\u2603"]),
    ("\0@ada\0", ["Ada"]),
    ("\ud800@ada\ud800", ["Ada"]),
]
NAMES = [
    "Ada", "Bob", "Ada Lovelace", "Ada.Lovelace", "bob@example.com", "Straße", "Élan", "田中", "नमस्ते", "C",
    "C++", "\u2603",
]  # fmt: skip


async def test_names_are_found_however_they_are_written(people: People) -> None:
    ids = {name: await people.member(name) for name in NAMES}
    name_of = {user_id: name for name, user_id in ids.items()}
    for body, expected in TEXTS:
        for form in ("NFC", "NFD"):
            found = await people.mentioned(unicodedata.normalize(form, body))
            assert [name_of[user_id] for user_id in found] == expected, (body, form)


async def test_who_has_the_same_name_is_mentioned_too(people: People) -> None:
    first, second = await people.member("Ada", "1"), await people.member("ADA", "2")
    await people.somebody("ada", "3")
    assert await people.mentioned("@Ada") == (first, second)


async def test_a_name_that_nobody_can_see_is_nobodys(people: People) -> None:
    await people.member(" ", "blank")
    await people.member("x" * 300, "long")
    assert await people.mentioned(f'@ @" " @{"x" * 300} @"{"x" * 300}"') == ()


# Bounds


async def fill(people: People, count: int) -> list[int]:
    """So many members, `Person 0` and so on, at once."""

    def add(connection: Connection) -> list[int]:
        rows = [
            {"issuer": "i", "subject": f"p{number}", "name": f"Person {number}", "created_at": utc_now()}
            for number in range(count)
        ]
        ids = list(
            connection.scalars(insert(users).returning(users.c.id, sort_by_parameter_order=True), rows)
        )
        values = {"scope": f"project:{people.project}", "role": 1, "set_by": people.root, "set_at": utc_now()}
        connection.execute(insert(memberships), [{**values, "user_id": user_id} for user_id in ids])
        return ids

    return await people.database.write(add)


async def test_no_more_than_the_limit_are_mentioned(people: People) -> None:
    ids = await fill(people, MAX_MENTIONS + 20)
    names = " ".join(f"@Person {number}" for number in range(len(ids)))
    assert await people.mentioned("", ids) == tuple(ids[:MAX_MENTIONS])
    assert await people.mentioned(names) == tuple(ids[:MAX_MENTIONS])
    assert await people.mentioned(names, ids[-30:]) == (*ids[-30:], *ids[: MAX_MENTIONS - 30])


async def test_a_text_without_mentions_costs_no_statement_and_others_few(people: People) -> None:
    ids = await fill(people, 1200)
    with pytest.raises(AssertionError), at_most(9):  # it asserts that there are any
        await people.mentioned("hello")
    with at_most(5):
        assert len(await people.mentioned("@person 1", [*range(10**6, 10**6 + 900), *ids])) == MAX_MENTIONS


async def test_hostile_texts_take_no_time_to_speak_of(people: People) -> None:
    for length in range(1, 120):
        await people.member("@" * length, str(length))
    for body in ("@" * 16_384, "@ " * 8192, '@"' * 8192, "@" + "a" * 16_383, "@ﷺ" * 4096, "@\u0301" * 5000):
        started = time.perf_counter()
        await people.mentioned(body)
        assert time.perf_counter() - started < 2, body[:4]


def test_a_long_chat_of_few_is_not_read_through(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        values = "('i', ?, ?, '2026-01-01')"
        connection.executemany(
            f"INSERT INTO users (issuer, subject, name, created_at) VALUES {values}",
            [("a", "Ada"), ("b", "Bob")],
        )
        for chat_id, count in ((1, 100), (2, 10_000)):
            connection.execute(FILL, {"chat": chat_id, "count": count})
        connection.commit()
    for body, explicit in (("@bob and @ada", ()), ("", (2, 1))):
        find = partial(mentioned, body=body, explicit=explicit)
        short, long = (
            steps_of(path, partial(find, chat_id=chat_id), "BEGIN IMMEDIATE") for chat_id in (1, 2)
        )
        assert 0 < long <= 2 * short
