"""Whom messages of a chat are told to: those they mention, those they answer, and those who want to hear of all."""

from collections.abc import Iterable, Sequence

from crdt_store.effects import Connection
from crdt_store.message_rows import StoredMessage
from crdt_store.notifications_adding import Added, Notice, add, count_up
from crdt_store.notifications_jobs import ChatMessages
from crdt_store.notifications_messages import Audience, SeqRange, audience_of, read_messages


def notify_of_chat(
    connection: Connection, chat_id: int, found: Sequence[ChatMessages], now_ms: int, *, by_membership: bool
) -> list[Added]:
    """What these jobs of one chat come to. A message is told to nobody twice, mentioned or answered."""
    room = f"chat:{chat_id}"
    ranges = [each.sent for each in found if each.sent is not None]
    messages = read_messages(connection, chat_id, ranges, [seq for each in found for seq in each.edited])
    audience = audience_of(connection, chat_id, messages, by_membership=by_membership)
    added: list[Added] = []
    for message, mentioned, answered in audience.addressed:
        key = f"message:{message.id}"
        for kind, user_ids in (("mention", mentioned), ("reply", answered)):
            notice = Notice(kind, room, message.sender_id, key, message=message)
            added += add(connection, notice, user_ids, now_ms)
    for message, count, followers in _activity(audience, ranges):
        notice = Notice("chat_activity", room, message.sender_id, f"activity:{room}", message=message)
        added += count_up(connection, notice, followers, count, now_ms)
    return added


def _activity(audience: Audience, ranges: Iterable[SeqRange]) -> list[tuple[StoredMessage, int, list[int]]]:
    """For followers: the newest message, how many there are, and for whom that is so.

    All hear of the same, but for those who wrote some of them or were told of some already.
    """
    sent = [
        each for each in audience.addressed if any(first <= each[0].seq <= last for first, last in ranges)
    ]
    concerned = {user for message, *sets in sent for user in (message.sender_id, *sets[0], *sets[1])}
    others = sorted(audience.followers - concerned)
    found = [(sent[-1][0], len(sent), others)] if sent and others else []
    for user_id in sorted(audience.followers & concerned):
        news = [
            message
            for message, mentioned, answered in sent
            if user_id != message.sender_id and user_id not in mentioned and user_id not in answered
        ]
        if news:
            found.append((news[-1], len(news), [user_id]))
    return found
