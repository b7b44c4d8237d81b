"""From a cause to the people it concerns: the handlers of the jobs that notify."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from crdt_store.effects import Connection, Effect
from crdt_store.jobs import Job
from crdt_store.notifications_adding import Added, Notice, add, unread_of
from crdt_store.notifications_jobs import (
    BROADCAST,
    CHAT_MESSAGES,
    NOTICE,
    Broadcast,
    ChatMessages,
    DirectNotice,
    enqueue_broadcast,
)
from crdt_store.notifications_readers import readers_of, user_ids_after
from server.jobs.worker import Handler
from server.news.hub import Hub, News
from server.notifications.chat_fan_out import notify_of_chat
from server.notifications.telling import told

_USERS_PER_PART = 1000
"""Of a broadcast: a job each, so that it keeps nobody from the disk for long."""


class Notifying:
    """An `Effect`: stores notifications, and tells the users who are there."""

    def __init__(self, hub: Hub, now_ms: int, find: Callable[[Connection], list[Added]]) -> None:
        self._hub = hub
        self._now_ms = now_ms
        self._find = find

    def store(self, connection: Connection) -> None:
        """In the transaction of the jobs that it comes from."""
        self._added = self._find(connection)
        self._unread = unread_of(connection, {each.user_id for each in self._added})

    def committed(self) -> None:
        """On the event loop: every connection of each user hears of it."""
        for each in self._added:
            payload = told(each, self._unread[each.user_id])
            self._hub.publish_to_user(each.user_id, News("notification", payload, None, self._now_ms))


class FanOut:
    """`by_membership`: memberships say who may read what is in a project; else only tokens know."""

    def __init__(self, hub: Hub, now_ms: Callable[[], int], *, by_membership: bool) -> None:
        self._hub = hub
        self._now_ms = now_ms
        self._by_membership = by_membership

    def handlers(self) -> Mapping[str, Handler]:
        """By kind of job."""
        return {CHAT_MESSAGES: self._chat_messages, NOTICE: self._notices, BROADCAST: self._broadcasts}

    def _chat_messages(self, jobs: Sequence[Job]) -> Effect:
        of_chat: dict[int, list[ChatMessages]] = {}
        for job in jobs:
            found = ChatMessages.of(job)
            of_chat.setdefault(found.chat_id, []).append(found)
        now_ms = self._now_ms()

        def find(connection: Connection) -> list[Added]:
            added: list[Added] = []
            for chat_id in sorted(of_chat):
                added += notify_of_chat(
                    connection, chat_id, of_chat[chat_id], now_ms, by_membership=self._by_membership
                )
            return added

        return Notifying(self._hub, now_ms, find)

    def _notices(self, jobs: Sequence[Job]) -> Effect:
        now_ms = self._now_ms()
        return Notifying(self._hub, now_ms, partial(self._add_notices, jobs=jobs, now_ms=now_ms))

    def _add_notices(self, connection: Connection, jobs: Sequence[Job], now_ms: int) -> list[Added]:
        added: list[Added] = []
        for job in jobs:
            direct = DirectNotice.of(job)
            others = set(direct.user_ids) - {direct.actor_id}
            readers = readers_of(connection, direct.room, others, by_membership=self._by_membership)
            key = f"job:{job.id}" if direct.key is None else f"{direct.kind}:{direct.key}"
            notice = Notice(direct.kind, direct.room, direct.actor_id, key, direct.payload)
            added += add(connection, notice, readers, now_ms)
        return added

    def _broadcasts(self, jobs: Sequence[Job]) -> Effect:
        now_ms = self._now_ms()
        return Notifying(self._hub, now_ms, partial(self._add_broadcasts, jobs=jobs, now_ms=now_ms))

    def _add_broadcasts(self, connection: Connection, jobs: Sequence[Job], now_ms: int) -> list[Added]:
        added: list[Added] = []
        for job in jobs:
            part = Broadcast.of(job)
            user_ids = user_ids_after(connection, part.after, _USERS_PER_PART)
            notice = Notice("system", "global", part.actor_id, f"broadcast:{part.key}", {"text": part.text})
            added += add(connection, notice, user_ids, now_ms)
            if len(user_ids) == _USERS_PER_PART:
                enqueue_broadcast(connection, part._replace(after=user_ids[-1]), now_ms)
        return added
