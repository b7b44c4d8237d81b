"""What JSON clients do in a chat: `message` events become what a Yjs client would have written."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from auth.grants import Action, Grant
from crdt_store.messages import Messages
from crdt_store.update_log import LogUnavailable
from server.chat import writing
from server.chat.chat_rules import ChatRules
from server.chat.chats import Chats
from server.chat.fields import FIELDS, ReactionKey, is_message_id, read_reaction_key
from server.chat.judgement import Edited, Message, News, Reacted, Sent, Tombstoned
from server.chat.recording import Recording, Told
from server.chat.told import iso
from server.events.errors import EventError, EventErrorCode
from server.events.handlers import Answer, Speaker
from server.events.models import Message as MessageEvent
from server.limits.gate import Gate
from server.protocol.structs import Id
from server.rooms.names import RoomKind, RoomName, chat_name
from server.rooms.room import Room
from server.rooms.room_manager import NoSuchRoom, RoomUnavailable
from server.rooms.rules import Written
from server.rooms.runs import Author, BudgetExceeded

_COMMIT_SECONDS = 30.0
"""A store that takes longer to say whether it has a message is as good as gone."""

_Change = tuple[bytes | None, News]


class Speaking:
    """The handler of `message`: answered once it is committed."""

    def __init__(self, chats: Chats, messages: Messages, gate: Gate, now_ms: Callable[[], int]) -> None:
        self._chats = chats
        self._messages = messages
        self._gate = gate
        self._now_ms = now_ms

    async def message(
        self, speaker: Speaker, name: RoomName, event: MessageEvent
    ) -> Answer | Awaitable[Answer]:
        """Send, edit, delete, react. Raises EventError, TooMany, LogUnavailable; the answer too."""
        if name.kind is not RoomKind.CHAT:
            raise EventError(EventErrorCode.NOT_ALLOWED, "messages are for chat rooms")
        if not Grant(speaker.role_in(name)).allows(Action.WRITE_MESSAGE):
            raise EventError(EventErrorCode.NOT_ALLOWED, "your role may not write messages here")
        if not is_message_id(event.id):
            raise EventError(EventErrorCode.INVALID_PAYLOAD, "id: must be a UUID")
        room = self._chats.rooms.rooms.get(name.canonical)
        if not isinstance(room, Room) or not isinstance(room.rules, ChatRules):
            raise EventError(EventErrorCode.UNAVAILABLE)
        author = speaker.identity.author
        self._gate.check_message(author.user_id)
        if not _is_at_hand(room.rules, author.user_id, event):
            return self._say_elsewhere(room, author, event)
        return self._say(room, author, event)

    def _say(self, room: Room, author: Author, event: MessageEvent) -> Awaitable[Answer]:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        give_up = partial(_settle, answer, LogUnavailable(f"{room.name} was closed: send the message again"))
        room.on_end(give_up)
        answer.add_done_callback(lambda _: room.on_end_no_more(give_up))
        room.write(
            partial(self._build, room, author, event, answer), author_id=author.user_id, run=author.run
        )
        return _committed(room, answer)

    async def _say_elsewhere(self, room: Room, author: Author, event: MessageEvent) -> Answer:
        """The message may be in an earlier segment of the thread."""
        sender_id = event.author_id if event.action in ("react", "unreact") else author.user_id
        home = await self._chats.carrying.home_of(room.name.id, event.id, sender_id)
        if home is None or home == room.name:
            return await self._say(room, author, event)
        try:
            async with self._chats.rooms.visit(home, may_create=False) as segment:
                return await self._say(segment, author, event)
        except (NoSuchRoom, RoomUnavailable) as error:
            raise EventError(EventErrorCode.UNAVAILABLE) from error

    def _build(
        self, room: Room, author: Author, event: MessageEvent, answer: asyncio.Future[Answer], at: Id
    ) -> Written | None:
        """Compose it for the thread as it is now; what it cannot be is the answer."""
        assert isinstance(room.rules, ChatRules)
        try:
            update, news = _compose(self._now_ms(), room.rules, author.user_id, event, at)
            if update is not None and author.run is not None:
                author.run.check(room.name.canonical, len(update))
        except EventError as error:
            _settle(answer, error)
            return None
        except BudgetExceeded as exceeded:
            _settle(answer, EventError(EventErrorCode.BUDGET_EXCEEDED, str(exceeded)))
            return None
        if update is None:  # there is nothing to change: it was said before
            room.when_committed(partial(self._again, chat_name(room.name.id), author.user_id, event, answer))
            return None
        recording = self._chats.recording(room.name, (news,), author.run)
        on_stored = recording.on_stored

        def stored(recording: Recording, told: list[Told]) -> None:
            on_stored(recording, told)
            _settle(answer, _answer(chat_name(room.name.id), event, told[0] if told else None))

        recording.on_stored = stored
        return Written(update, [recording])

    def _again(
        self, name: RoomName, user_id: int, event: MessageEvent, answer: asyncio.Future[Answer]
    ) -> None:
        """A client that has lost the answer asks once more."""

        async def look_up() -> None:
            try:
                stored = await self._messages.message(name.id, event.id, event.author_id or user_id)
            except LogUnavailable as error:
                _settle(answer, error)
            else:
                seq = {} if stored is None else {"seq": stored.seq, "server_time": iso(stored.server_time_ms)}
                _settle(answer, {"room": name.canonical, "id": event.id, "status": "sent", **seq})

        self._chats.start(look_up())


def _is_at_hand(rules: ChatRules, user_id: int, event: MessageEvent) -> bool:
    """Whether the message is in the thread's newest part, or new.

    That one was sent before is found out when it is stored.
    """
    if event.action == "send" or rules.thread.segment == 1:
        return True
    if event.action in ("react", "unreact"):
        return event.author_id is not None and rules.thread.message(event.author_id, event.id) is not None
    return rules.thread.message(user_id, event.id) is not None


async def _committed(room: Room, answer: asyncio.Future[Answer]) -> Answer:
    try:
        async with asyncio.timeout(_COMMIT_SECONDS):
            return await answer
    except TimeoutError as error:
        raise LogUnavailable(f"{room.name}: the message was not stored in time") from error


def _settle(answer: asyncio.Future[Answer], what: Answer | BaseException) -> None:
    if answer.done():
        return
    if isinstance(what, BaseException):
        answer.set_exception(what)
    else:
        answer.set_result(what)


def _answer(name: RoomName, event: MessageEvent, told: Told | None) -> Answer:
    answer: dict[str, Any] = {"room": name.canonical, "id": event.id, "status": "sent"}
    if told is not None and told.message is not None:
        answer |= {"seq": told.message.seq, "server_time": iso(told.message.server_time_ms)}
    if told is not None and told.event_seq:
        answer["event_seq"] = told.event_seq
    return answer


def _compose(now_ms: int, rules: ChatRules, user_id: int, event: MessageEvent, at: Id) -> _Change:
    """The update, None where nothing changes, and what it means. Raises EventError."""
    if event.action == "send":
        return _send(now_ms, rules, user_id, event, at)
    if event.action in ("react", "unreact"):
        return _react(rules, user_id, event, at)
    message = rules.thread.message(user_id, event.id)
    if message is None:
        raise EventError(EventErrorCode.NOT_FOUND, "you have no message of this id here")
    changes = _changes(now_ms, message, event)
    update = writing.set_fields(rules.thread, at, [(message.item, changes)]) if changes else None
    if event.action == "delete":
        return update, Tombstoned(message._replace(is_deleted=True, body="", mentions=()))
    edited = message._replace(body=changes.get("body", message.body), mentions=tuple(event.mentions))
    return update, Edited(edited, tuple(changes))


def _send(now_ms: int, rules: ChatRules, user_id: int, event: MessageEvent, at: Id) -> _Change:
    if event.body is None:
        raise EventError(EventErrorCode.INVALID_PAYLOAD, "body: is missing")
    sent_at, mentions = event.sent_at or iso(now_ms), tuple(event.mentions)
    known = rules.thread.message(user_id, event.id)
    if known is not None:
        return None, Sent(known)
    fields: dict[str, object] = {"id": event.id, "sender_id": user_id, "body": event.body, "sent_at": sent_at}
    if event.reply_to is not None:
        fields["reply_to"] = event.reply_to
    for key, value in fields.items():
        check = FIELDS[key].check
        fault = None if check is None else check(value)
        if fault is not None:
            raise EventError(EventErrorCode.INVALID_PAYLOAD, f"{key}: {fault.text}")
    if mentions:
        fields["mentions"] = list(mentions)
    message = Message(
        at, event.id, user_id, event.body, sent_at, event.reply_to, None, False, mentions, None, None
    )
    return writing.append_message(rules.thread, at, fields), Sent(message)


def _changes(now_ms: int, message: Message, event: MessageEvent) -> Mapping[str, Any]:
    if event.action == "delete":
        return {} if message.is_deleted else {"body": "", "deleted": True}
    if message.is_deleted:
        raise EventError(EventErrorCode.CONFLICT, "the message is deleted")
    if event.body is None:
        raise EventError(EventErrorCode.INVALID_PAYLOAD, "body: is missing")
    if (event.body, tuple(event.mentions)) == (message.body, message.mentions):
        return {}
    changes: dict[str, Any] = {"body": event.body, "edited_at": iso(now_ms)}
    if tuple(event.mentions) != message.mentions:
        changes["mentions"] = list(event.mentions)
    return changes


def _react(rules: ChatRules, user_id: int, event: MessageEvent, at: Id) -> _Change:
    reaction = ReactionKey(event.id, user_id, event.reaction or "")
    if read_reaction_key(str(reaction)) != reaction:
        raise EventError(
            EventErrorCode.INVALID_PAYLOAD, "reaction: must be an emoji of at most 32 characters"
        )
    is_set = event.action == "react"
    update = writing.set_reaction(rules.thread, at, reaction, is_set=is_set)
    return update, Reacted(*reaction, is_set)
