"""What becomes of a thread's news in the database: rows of messages, events for those who come back, and jobs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from crdt_store.effects import Connection
from crdt_store.mentions import People
from crdt_store.message_rows import NewMessage, StoredMessage
from crdt_store.notifications_jobs import ChatMessages, enqueue_chat_messages
from crdt_store.notifications_messages import SeqRange
from crdt_store.notifications_preferences import is_wanted
from crdt_store.posting import delete_message, edit_message, insert_messages
from crdt_store.room_events import append_event, trim_events
from server.chat.judgement import Edited, Message, News, Reacted, Sent, Tombstoned
from server.chat.told import told_message, told_reaction

_TRIM_EVERY = 256
"""Events; so many more than the limit may be kept for a while."""


class Told(NamedTuple):
    """An event as it was stored: `event_seq` is its place among the room's. `news` is what it comes from."""

    news: News
    message: StoredMessage | None
    payload: Mapping[str, Any]
    sender_id: int
    event_seq: int


@dataclass(eq=False)
class Recording:
    """An `Effect`: stores the news of one update in its transaction, and says afterwards what was stored.

    `agent`: what people see of the program that has brought them, if it was one.
    """

    room: str
    chat_id: int
    news: Sequence[News]
    now_ms: int
    max_events: int
    on_stored: Callable[["Recording", list[Told]], None]
    agent: Mapping[str, str] | None = None

    def store(self, connection: Connection) -> None:
        """News come in order; neighbours that are new messages are stored together."""
        self._told: list[Told] = []
        self._people = People(connection, self.chat_id)
        sent: list[Sent] = []
        for each in self.news:
            if isinstance(each, Sent):
                sent.append(each)
            else:
                self._store_sent(connection, sent)
                sent = []
                self._store_change(connection, each)
        self._store_sent(connection, sent)
        self._notify(connection)

    def committed(self) -> None:
        """Once, on the event loop."""
        self.on_stored(self, self._told)

    def _store_sent(self, connection: Connection, sent: Sequence[Sent]) -> None:
        if not sent:
            return
        new = [self._new(each.message) for each in sent]
        for each, stored in zip(
            sent, insert_messages(connection, self.chat_id, new, self.now_ms), strict=True
        ):
            if stored.is_duplicate:
                self._told.append(Told(each, stored, {}, stored.sender_id, 0))
            else:
                self._tell(connection, each, stored, told_message(stored, "send"))

    def _store_change(self, connection: Connection, news: Edited | Tombstoned | Reacted) -> None:
        if isinstance(news, Reacted):
            self._tell(connection, news, None, told_reaction(news, self.agent), sender_id=news.user_id)
            return
        message, stored = news.message, None
        key = connection, self.chat_id, message.sender_id, message.message_id
        if isinstance(news, Tombstoned):
            stored = delete_message(*key, self.now_ms)
        elif {"body", "mentions"} & set(news.fields):
            mentions = self._people.mentioned(message.body, message.mentions)
            body = message.body if "body" in news.fields else None  # an old part may not have heard of edits
            stored = edit_message(*key, body, mentions, self.now_ms, self.agent)
        if stored is not None:
            action = "delete" if isinstance(news, Tombstoned) else "edit"
            self._tell(connection, news, stored, told_message(stored, action))

    def _tell(
        self,
        connection: Connection,
        news: News,
        stored: StoredMessage | None,
        payload: Mapping[str, Any],
        sender_id: int | None = None,
    ) -> None:
        if stored is not None:
            sender_id = stored.sender_id
        assert sender_id is not None
        text = json.dumps(payload, ensure_ascii=False)
        seq = append_event(connection, self.room, "message", text, sender_id, self.now_ms)
        if seq % _TRIM_EVERY == 0:
            trim_events(connection, self.room, self.max_events)
        self._told.append(Told(news, stored, payload, sender_id, seq))

    def _new(self, message: Message) -> NewMessage:
        return NewMessage(
            message.message_id,
            message.sender_id,
            message.body,
            message.sent_at or "",
            message.reply_to,
            self._people.mentioned(message.body, message.mentions),
            self.agent,
        )

    def _notify(self, connection: Connection) -> None:
        """One job for all of these, if any of them may concern anybody."""
        stored = [
            (each.news, each.message) for each in self._told if each.event_seq and each.message is not None
        ]
        sent = [message for news, message in stored if isinstance(news, Sent)]
        edited = [message.seq for news, message in stored if isinstance(news, Edited) and message.mentions]
        concerns = any(message.mentions or message.reply_to for message in sent)
        if not edited and not concerns and not (sent and is_wanted(connection, f"chat:{self.chat_id}")):
            return
        new = SeqRange(sent[0].seq, sent[-1].seq) if sent else None  # nobody else writes in between
        enqueue_chat_messages(connection, ChatMessages(self.chat_id, new, edited), self.now_ms)
