"""How far the Yjs clients of chats have got. They have no words for it, so it is told from what they do.

Delivered: a ping goes out behind the messages, and what answers it proves that they have arrived, since TCP keeps the
order. Read: the client shows `read_seq` in its awareness state.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from crdt_store.messages import Messages
from crdt_store.receipts import Receipt
from crdt_store.update_log import LogUnavailable
from server.chat.chats import Chats
from server.chat.marks import Marks
from server.news.hub import Hub, News
from server.protocol.awareness_codec import read_entries
from server.rooms.names import RoomName
from server.rooms.room import Room
from server.transport.witness import Client

_ROUND_SECONDS = 1.0
"""Nobody is pinged more often. What was committed when a round begins has left when it ends: nothing waits for so
long to be sent (`broadcast_window_seconds`).
"""

_SEQ_BYTES = 8
logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Chat:
    """A chat in which there are Yjs clients. By user: `delivered`, as far as it is known, and `said`, the `read_seq`
    that was shown last.
    """

    name: RoomName
    clients: set[Client] = field(default_factory=set)
    last_seq: int = 0
    delivered: dict[int, int] = field(default_factory=dict)
    said: dict[int, int] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None
    unsubscribe: Callable[[], None] = lambda: None

    def lacks(self, client: Client, seq: int) -> bool:
        """Whether the client's user is not known to have got everything up to `seq`."""
        return self.delivered.get(client.user_id, 0) < seq


class Receiving:
    """The `Witness` of all connections to chats. It keeps nothing of a chat that no Yjs client is in."""

    def __init__(self, chats: Chats, marks: Marks, messages: Messages, hub: Hub) -> None:
        self._chats = chats
        self._marks = marks
        self._messages = messages
        self._hub = hub
        self._of_room: dict[str, _Chat] = {}

    # Witness

    def caught_up(self, client: Client) -> None:
        """It was sent what its replica lacked: it has all from now on."""
        chat = self._chat_of(client)
        chat.clients.add(client)
        self._begin_round(chat)

    def answered(self, client: Client, payload: bytes) -> None:
        """It has got all that was sent before the ping; who only pretends so does it for itself."""
        chat = self._of_room.get(client.room_name.canonical)
        seq = int.from_bytes(payload)
        if chat is not None and len(payload) == _SEQ_BYTES and seq <= chat.last_seq:
            user_id = client.user_id
            if chat.lacks(client, seq):
                chat.delivered[user_id] = seq
                stored = self._marks.note(user_id, chat.name, delivered_seq=seq)
                stored.add_done_callback(partial(self._stored, chat.delivered, user_id))

    def showed(self, client: Client, entries: bytes, own_id: int | None) -> None:
        """Of these entries its own one may say what it has read."""
        if b"read_seq" not in entries:
            return
        chat = self._chat_of(client)
        for entry in read_entries(entries):
            seq = _read_seq(entry.state) if entry.client_id == own_id and entry.state else None
            if seq is not None and seq != chat.said.get(client.user_id):
                chat.said[client.user_id] = seq
                stored = self._marks.note(client.user_id, chat.name, read_seq=seq)
                stored.add_done_callback(partial(self._stored, chat.said, client.user_id))

    def left(self, client: Client) -> None:
        """It is gone, or was never brought up to date."""
        key = client.room_name.canonical
        chat = self._of_room.get(key)
        if chat is None:
            return
        chat.clients.discard(client)
        if not chat.clients:
            del self._of_room[key]
            chat.unsubscribe()
            if chat.timer is not None:
                chat.timer.cancel()

    def _chat_of(self, client: Client) -> _Chat:
        key = client.room_name.canonical
        chat = self._of_room.get(key)
        if chat is None:
            chat = self._of_room[key] = _Chat(client.room_name)
            chat.unsubscribe = self._hub.subscribe(key, partial(self._hear, chat))
            self._chats.start(self._find_end(chat))
        return chat

    # Rounds

    async def _find_end(self, chat: _Chat) -> None:
        try:
            heads = await self._messages.heads([chat.name.id])
        except LogUnavailable as error:  # the next message says it
            logger.error("the end of %s is not known: %s", chat.name, error)
        else:
            self._go_up(chat, heads[chat.name.id].last_seq)

    def _hear(self, chat: _Chat, news: News) -> None:
        if news.type == "message" and news.payload.get("action") == "send":
            self._go_up(chat, news.payload["seq"])

    def _go_up(self, chat: _Chat, seq: int) -> None:
        if seq > chat.last_seq:
            chat.last_seq = seq
            self._begin_round(chat)

    def _begin_round(self, chat: _Chat) -> None:
        seq = chat.last_seq
        if chat.timer is None and any(chat.lacks(client, seq) for client in chat.clients):
            loop = asyncio.get_running_loop()
            chat.timer = loop.call_later(_ROUND_SECONDS, self._end_round, chat, seq)

    def _end_round(self, chat: _Chat, seq: int) -> None:
        chat.timer = None
        room = self._chats.rooms.rooms.get(chat.name.canonical)
        if isinstance(room, Room):  # what waits for a commit to be sent goes first
            room.when_committed(partial(self._ask, chat, room, seq))
        if chat.last_seq > seq:
            self._begin_round(chat)

    def _ask(self, chat: _Chat, room: Room, seq: int) -> None:
        for client in chat.clients:
            if client.has_all and chat.lacks(client, seq) and client in room.members:
                client.ping(seq.to_bytes(_SEQ_BYTES))

    @staticmethod
    def _stored(known: dict[int, int], user_id: int, future: asyncio.Future[Receipt]) -> None:
        """What was not stored is not known: it is asked, or shown, again."""
        if future.cancelled() or future.exception() is not None:
            known.pop(user_id, None)


def _read_seq(state: bytes) -> int | None:
    """What a state, which the room has let pass, says to be read; None: nothing that makes sense."""
    try:
        value = json.loads(state)
    except RecursionError:  # it was read before, but not from so deep in the stack
        return None
    seq = value.get("read_seq")
    return seq if type(seq) is int and seq > 0 else None
