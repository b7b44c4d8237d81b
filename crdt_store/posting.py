"""What effects do to the messages of a chat: plain functions, in the transaction of the update that says so.

Who writes in a chat locks its head first, and makes it on first use: so seqs have no gap, and are in commit order.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, insert, select, text, update

from crdt_store import message_search
from crdt_store.message_rows import (
    COLUMNS,
    NewMessage,
    StoredMessage,
    read_message,
    storable,
    storable_agent,
    storable_mentions,
    stored_message,
)
from crdt_store.prepared import Prepared
from crdt_store.tables import chat_heads, messages

_OF_CHAT = chat_heads.c.chat_id == bindparam("chat")
_LOCK = Prepared(select(chat_heads.c.last_seq).where(_OF_CHAT).with_for_update())
_BEGIN = Prepared(text("INSERT INTO chat_heads (chat_id, last_seq) VALUES (:chat, 0) ON CONFLICT DO NOTHING"))
_ADVANCE = Prepared(update(chat_heads).where(_OF_CHAT).values(last_seq=bindparam("reached")))
_NAMES = tuple(column.name for column in COLUMNS if column is not messages.c.id)
_INSERT = Prepared(insert(messages).inline().values({name: bindparam(name) for name in _NAMES}))
_INSERTED = Prepared(
    select(*COLUMNS)
    .where(messages.c.chat_id == bindparam("chat"), messages.c.seq > bindparam("after"))
    .order_by(messages.c.seq)
)

# However many are looked for, it is one statement, prepared: their uuids come as one text.
_KNOWN = {
    dialect: Prepared(
        select(*COLUMNS).where(
            messages.c.chat_id == bindparam("chat"),
            messages.c.sender_id == bindparam("sender"),
            text(f"messages.uuid {are_among}"),
        )
    )
    for dialect, are_among in {
        "sqlite": "IN (SELECT value FROM json_each(:uuids))",
        "postgresql": "= ANY (ARRAY(SELECT json_array_elements_text(CAST(CAST(:uuids AS text) AS json))))",
    }.items()
}

_Key = tuple[int, str]  # a message of a chat: who sent it, and under which uuid


def insert_messages(
    connection: Connection, chat_id: int, new: Sequence[NewMessage], now_ms: int
) -> list[StoredMessage]:
    """Store those that the chat does not have yet, with its next seqs; return all of them, in this order.

    One that there is already, by its sender and uuid, comes back as it is, with `is_duplicate`.
    """
    last_seq = _lock_head(connection, chat_id)
    known = _known(connection, chat_id, new)
    unknown: dict[_Key, NewMessage] = {}
    for message in new:
        if _key(message) not in known:
            unknown.setdefault(_key(message), message)
    stored = _insert(connection, chat_id, last_seq, list(unknown.values()), now_ms) if unknown else {}
    found: list[StoredMessage] = []
    for message in new:
        fresh = stored.pop(_key(message), None)
        if fresh is not None:
            known[_key(message)] = replace(fresh, is_duplicate=True)
        found.append(fresh or known[_key(message)])
    return found


def edit_message(
    connection: Connection,
    chat_id: int,
    sender_id: int,
    uuid: str,
    body: str | None,
    mentions: Sequence[int],
    now_ms: int,
    agent: Mapping[str, str] | None = None,
) -> StoredMessage | None:
    """The message as it is now; None, and nothing done, if there is none of this sender or it is deleted.

    No `body`: that stays as it is. What an agent has edited is the agent's.
    """
    return _change(connection, chat_id, sender_id, uuid, body, mentions, now_ms, agent, deleted=False)


def delete_message(
    connection: Connection, chat_id: int, sender_id: int, uuid: str, now_ms: int
) -> StoredMessage | None:
    """What is left of the message; None, and nothing done, if there is none of this sender or it is deleted."""
    return _change(connection, chat_id, sender_id, uuid, "", (), now_ms, deleted=True)


def _change(
    connection: Connection,
    chat_id: int,
    sender_id: int,
    uuid: str,
    body: str | None,
    mentions: Sequence[int],
    now_ms: int,
    agent: Mapping[str, str] | None = None,
    *,
    deleted: bool,
) -> StoredMessage | None:
    _lock_head(connection, chat_id)
    found = read_message(connection, chat_id, uuid, sender_id)
    if found is None or found.deleted:
        return None
    said = found.body if body is None else storable(body)
    changed = replace(
        found,
        body=said,
        mentions=tuple(mentions),
        edited_at_ms=now_ms,
        deleted=deleted,
        agent=agent or found.agent,
    )
    connection.execute(
        update(messages)
        .where(messages.c.id == found.id)
        .values(
            body=changed.body,
            mentions=storable_mentions(changed.mentions),
            edited_at_ms=now_ms,
            deleted=deleted,
            agent=storable_agent(changed.agent),
        )
    )
    message_search.forget(connection, found.id)
    if not deleted:
        message_search.remember(connection, [changed])
    return changed


def _lock_head(connection: Connection, chat_id: int) -> int:
    """Where the chat ends; nobody else writes in it before this transaction has ended."""
    rows = _LOCK.fetch(connection, {"chat": chat_id})
    if not rows:
        _BEGIN.run(connection, [{"chat": chat_id}])
        rows = _LOCK.fetch(connection, {"chat": chat_id})
    return int(rows[0][0])


def _known(connection: Connection, chat_id: int, new: Sequence[NewMessage]) -> dict[_Key, StoredMessage]:
    """Those that the chat has."""
    known: dict[_Key, StoredMessage] = {}
    for sender_id in {message.sender_id for message in new}:
        uuids = [storable(message.uuid) for message in new if message.sender_id == sender_id]
        parameters = {"chat": chat_id, "sender": sender_id, "uuids": json.dumps(uuids)}
        for record in _KNOWN[connection.dialect.name].fetch(connection, parameters):
            found = replace(stored_message(record), is_duplicate=True)
            known[found.sender_id, found.uuid] = found
    return known


def _insert(
    connection: Connection, chat_id: int, last_seq: int, new: Sequence[NewMessage], now_ms: int
) -> dict[_Key, StoredMessage]:
    records = [
        {
            "chat_id": chat_id,
            "seq": seq,
            "uuid": storable(message.uuid),
            "sender_id": message.sender_id,
            "body": storable(message.body),
            "reply_to": None if message.reply_to is None else storable(message.reply_to),
            "sent_at": storable(message.sent_at),
            "server_time_ms": now_ms,
            "edited_at_ms": None,
            "deleted": False,
            "mentions": storable_mentions(message.mentions),
            "agent": storable_agent(message.agent),
        }
        for seq, message in enumerate(new, last_seq + 1)
    ]
    _INSERT.run(connection, records)
    _ADVANCE.run(connection, [{"chat": chat_id, "reached": last_seq + len(records)}])
    found = [
        stored_message(record) for record in _INSERTED.fetch(connection, {"chat": chat_id, "after": last_seq})
    ]
    message_search.remember(connection, found)
    return {(message.sender_id, message.uuid): message for message in found}


def _key(message: NewMessage) -> _Key:
    return message.sender_id, storable(message.uuid)
