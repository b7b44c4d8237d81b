"""Search finds words however they are written, in the chats that it is told, and takes no query for anything else."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from crdt_store.engine import Database
from crdt_store.messages import Messages
from crdt_store.words import words_of, words_to_find
from tests.crdt_store.chatting import CHAT, ada, edit, messages, new, post, remove, sql

__all__ = ["ada", "messages"]

FOUND = [
    ("The quick brown fox", "quick"),
    ("The quick brown fox", "FOX the"),
    ("The quick brown fox", "quick bro"),
    ("The quick brown fox", "q"),
    ("Crème brûlée", "creme BRULEE"),
    ("Creme brulee", "crème brûlée"),
    ("Straße in Łódź", "strasse łodz"),
    ("ﬁne ＦＵＬＬ", "fine full"),
    ("Ёлка и йод", "елка иод"),
    ("don't snake_case a.b@c.de", "don t snake case c.de"),
    ("Blueprint BP_Door_2 v1.4.3", "bp_door_2 v1.4"),
    ("हिन्दी भाषा", "हिन्दी"),
    ("مرحبا بالعالم", "مرحبا"),
    ("今日は東京都へ行く", "東京"),
    ("今日は東京都へ行く", "京都"),
    ("今日は東京都へ行く", "行"),
    ("今日は東京都へ行く", "く"),
    ("今日は東京都へ行く", "東京都へ"),
    ("UE5で作る", "ue5で"),
    ("ｶﾞｰﾄﾞ", "ガード"),
    ("我们明天见", "明天"),
    ("안녕하세요 여러분", "하세"),
    ("สวัสดีครับ", "สวัสดี"),
    ("\U00020000\U00020001", "\U00020001"),
    ("x" * 500, "x" * 100),
    ("a\0b", "b"),
    ("word " * 7000 + "last", "word"),
]
NOT_FOUND = [
    ("The quick brown fox", "quack"),
    ("The quick brown fox", "qui fox"),
    ("The quick brown fox", "ox"),
    ("今日は東京都へ行く", "都京"),
    ("今日は東京都へ行く", "東行"),
    ("hello", ""),
    ("hello", " \t\n"),
    ("👍", "👍"),
    ("hello", f"§{CHAT}"),
    ("hello", f"{CHAT}"),
    ("hello", "§"),
]
SYNTAX = [
    '"', "'", "''", "\\", "*", "a*", "a AND", "OR b", "NOT hello", "NEAR(a b)", "hello NEAR/2", "words:hello",
    "{words}:x", "^hello", "- hello", "+", "(", "hello)", "hello & ", "!hello", "hello:*", "hello <-> x", "a:b:c",
    "%", "_", ";--",
    "'); DROP TABLE messages; --", "\0", "\ud800", "\ud83d", "§", "\u0301", "\u200d", "\ufffd", "İ", "ŉ", "ﷺ" * 50,
    "a " * 5000, "b" * 100_000, "字" * 5000, ":words", "?", "$1", "%(x)s", "\\'hello\\'",
]  # fmt: skip


async def test_what_was_written_is_found(messages: Messages, database: Database, ada: int) -> None:
    for chat_id, (body, query) in enumerate(FOUND, 1):
        stored = await post(database, new(ada, body), new(ada, "something else 別"), chat_id=chat_id)
        assert await messages.search(query, [chat_id], 10) == stored[:1], (body, query)
        everywhere = await messages.search(query, None, 1000)
        assert [each for each in everywhere if each.chat_id == chat_id] == stored[:1]


async def test_nothing_else_is_found(messages: Messages, database: Database, ada: int) -> None:
    for chat_id, (body, query) in enumerate(NOT_FOUND, 1):
        await post(database, new(ada, body), chat_id=chat_id)
        assert await messages.search(query, [chat_id], 10) == [], (body, query)
        assert chat_id not in [each.chat_id for each in await messages.search(query, None, 1000)]


async def test_no_query_is_syntax(messages: Messages, database: Database, ada: int) -> None:
    """What is not a letter or a digit is not looked at."""
    for chat_id, query in enumerate(SYNTAX, 1):
        written = await post(database, new(ada, "hello"), new(ada, query), new(ada, ""), chat_id=chat_id)
        asked = {word.text for word in words_to_find(query)}
        expected = [each for each in reversed(written) if asked and asked <= words_of(each.body)]
        assert await messages.search(query, [chat_id], 10) == expected, query
        everywhere = await messages.search(query, None, 1000)
        assert [each for each in everywhere if each.chat_id == chat_id] == expected
        is_hello = "".join(filter(str.isalpha, query)) == "hello"
        assert is_hello == (written[0] in expected)
    assert len(await sql(database, "SELECT * FROM messages")) == 3 * len(SYNTAX)


async def test_any_text_at_all_can_be_written_and_looked_for(
    messages: Messages, database: Database, ada: int
) -> None:
    rng = random.Random(1)
    blocks = [
        0x20,
        0x300,
        0x600,
        0x900,
        0xE00,
        0x1100,
        0x2000,
        0x3000,
        0xAC00,
        0xD800,
        0xFB00,
        0x1F600,
        0x20000,
    ]
    bodies = ["".join(chr(rng.choice(blocks) + rng.randrange(256)) for _ in range(40)) for _ in range(150)]
    stored = await post(database, *(new(ada, body) for body in bodies))
    for body, each in zip(bodies, stored, strict=True):
        found = await messages.search(body, None, 10)
        assert (each in found) == bool(words_to_find(body))


async def test_deleted_messages_and_what_edited_ones_said_before_are_not_found(
    messages: Messages, database: Database, ada: int
) -> None:
    gone, edited, kept = await post(database, *(new(ada, f"alpha beta{number}") for number in range(3)))
    await remove(database, gone)
    changed = await edit(database, edited, "gamma")
    assert await messages.search("alpha", None, 10) == [kept]
    assert await messages.search("beta1", None, 10) == []
    assert await messages.search("gamma", None, 10) == [changed]
    (again,) = await post(database, new(ada, "alpha delta", edited.uuid))
    assert again == replace(changed, is_duplicate=True)  # type: ignore[type-var]
    assert await messages.search("delta", None, 10) == []
    for _ in range(3):
        changed = await edit(database, edited, "alpha again")
    assert await messages.search("alpha", None, 10) == [kept, changed]
    await remove(database, edited)
    assert await messages.search("alpha", None, 10) == [kept]
    assert len(await sql(database, "SELECT * FROM message_words")) == 1


async def test_only_the_chats_that_are_named_are_searched(
    messages: Messages, database: Database, ada: int
) -> None:
    stored = {
        chat_id: (await post(database, new(ada, "hello"), chat_id=chat_id))[0]
        for chat_id in (1, 11, 111, 10**17)
    }
    for chat_id, each in stored.items():
        assert await messages.search("hello", [chat_id], 10) == [each]
    assert await messages.search("hello", [1, 111, 1, 5], 10) == [stored[111], stored[1]]
    assert await messages.search("hello", [], 10) == []
    assert await messages.search("hello", {2}, 10) == []
    assert await messages.search("hello", None, 10) == list(reversed(stored.values()))
    assert await messages.search("hello", range(2, 5000), 10) == [stored[111], stored[11]]


async def test_results_come_in_pages_newest_first(messages: Messages, database: Database, ada: int) -> None:
    for number in range(4):
        await post(database, *(new(ada, f"hello {number}") for _ in range(6)), chat_id=number % 2 + 1)
    found = []
    before = None
    while page := await messages.search("hello", [1, 2], 5, before):
        found += [each.id for each in page]
        before = page[-1].id
        await post(database, new(ada, "hello"), chat_id=1)
    assert found == sorted(found, reverse=True)
    assert len(found) == len(set(found)) == 24


@given(st.text(max_size=200), st.text(max_size=20))
def test_a_text_is_found_by_all_of_it_and_by_each_of_its_words(text: str, more: str) -> None:
    words = words_of(f"{text} {more}")
    for query in (text, *text.split()):
        for word in words_to_find(query):
            assert word.text in words or (
                word.is_prefix and any(each.startswith(word.text) for each in words)
            )


@given(st.text())
def test_a_word_has_nothing_that_an_index_takes_for_something_else(text: str) -> None:
    for word in words_of(text) | {word.text for word in words_to_find(text)}:
        assert word
        assert not set(word) & set(" \"'\\*:&|!()<>^§\0")
        assert word.isalnum() or not word.isascii()
        word.encode()
