"""The index of words of messages: FTS5 in SQLite, a tsvector in PostgreSQL. What a word is, `words` says, for both.

A chat is a word too, so that a search in a few chats does not go through what all others have.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, bindparam, select, text

from crdt_store.message_rows import COLUMNS, StoredMessage, bounded, stored_message
from crdt_store.prepared import Prepared
from crdt_store.tables import messages
from crdt_store.words import Word, words_of, words_to_find

_BATCH = 1000  # of messages

_REMEMBER = {
    "sqlite": Prepared(text("INSERT INTO message_words (rowid, words) VALUES (:id, :words)")),
    "postgresql": Prepared(
        text(
            "INSERT INTO message_words (rowid, words)"
            " VALUES (:id, array_to_tsvector(string_to_array(:words, ' ')))"
        )
    ),
}
_FORGET = Prepared(text("DELETE FROM message_words WHERE rowid = :id"))
_MATCHES = {
    "sqlite": "message_words MATCH :words",
    "postgresql": "words @@ CAST(CAST(:words AS text) AS tsquery)",
}
_FOUND = {
    dialect: select(*COLUMNS)
    .where(messages.c.id == text("found.id"))
    .select_from(
        messages,
        text(
            f"(SELECT rowid AS id FROM message_words WHERE {matches} AND rowid < :before"
            " ORDER BY rowid DESC LIMIT :limit) AS found"
        ).bindparams(bindparam("words"), bindparam("before"), bindparam("limit")),
    )
    .order_by(messages.c.id.desc())
    for dialect, matches in _MATCHES.items()
}


def remember(connection: Connection, found: Iterable[StoredMessage]) -> None:
    """Let messages be found that are not in the index."""
    _REMEMBER[connection.dialect.name].run(
        connection,
        [
            {"id": message.id, "words": " ".join([_chat(message.chat_id), *sorted(words_of(message.body))])}
            for message in found
        ],
    )


def remember_all(connection: Connection) -> None:
    """Make the index of a database that has messages and none."""
    wanted = select(*COLUMNS).where(messages.c.deleted.is_(False))
    for records in connection.execute(wanted, execution_options={"yield_per": _BATCH}).partitions():
        remember(connection, [stored_message(record) for record in records])


def forget(connection: Connection, message_id: int) -> None:
    """Let a message not be found any more."""
    _FORGET.run(connection, [{"id": message_id}])


def forget_all(connection: Connection) -> None:
    """Let no message be found any more."""
    connection.execute(text("DELETE FROM message_words"))


def search(
    connection: Connection, query: str, chat_ids: Collection[int] | None, limit: int, before: int | None
) -> list[StoredMessage]:
    """Messages with all these words, of these chats (None: of all), with an id below `before`; newest first.

    The last word may be unfinished. Nothing in the query is syntax.
    """
    words = words_to_find(query)
    if not words or (chat_ids is not None and not chat_ids):
        return []
    dialect = connection.dialect.name
    chats = None if chat_ids is None else [Word(_chat(chat_id), False) for chat_id in sorted(set(chat_ids))]
    expression = _fts5(words, chats) if dialect == "sqlite" else _tsquery(words, chats)
    parameters = {"words": expression, "before": bounded(before), "limit": max(limit, 0)}
    return [stored_message(record) for record in connection.execute(_FOUND[dialect], parameters)]


def _chat(chat_id: int) -> str:
    return f"§{chat_id}"  # no letter: no word of a text


def _fts5(words: Sequence[Word], chats: Sequence[Word] | None) -> str:
    terms = [f'"{word.text}"{" *" if word.is_prefix else ""}' for word in words]
    if chats is not None:
        terms.append("(" + " OR ".join(f'"{chat.text}"' for chat in chats) + ")")
    return " AND ".join(terms)


def _tsquery(words: Sequence[Word], chats: Sequence[Word] | None) -> str:
    terms = [f"'{word.text}'{':*' if word.is_prefix else ''}" for word in words]
    if chats is not None:
        terms.append("(" + " | ".join(f"'{chat.text}'" for chat in chats) + ")")
    return " & ".join(terms)
