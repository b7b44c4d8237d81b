"""The answers of events that were dealt with: who sends one again, after a reconnect too, gets the same answer."""

import asyncio
import json
from collections import OrderedDict
from hashlib import blake2b

from server.events.envelope import ClientEvent
from server.events.handlers import Answer

MAX_PER_USER = 1_000
MAX_IN_ALL = 50_000
"""Some 50 MB; over that, answers to whoever has been quiet for longest are forgotten."""


class RememberedAnswers:
    """By user and event. An id that comes with other content, as where one counts from 1 again, is a new event."""

    def __init__(self, *, max_per_user: int = MAX_PER_USER, max_in_all: int = MAX_IN_ALL) -> None:
        self._max_per_user = max_per_user
        self._max_in_all = max_in_all
        self._of_user: OrderedDict[int, OrderedDict[bytes, asyncio.Future[Answer]]] = OrderedDict()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def find(self, user_id: int, event: ClientEvent) -> asyncio.Future[Answer] | None:
        """The answer, which may still be on its way; None: the event is new."""
        answers = self._of_user.get(user_id)
        return None if answers is None else answers.get(_digest(event))

    def keep(self, user_id: int, event: ClientEvent, answer: asyncio.Future[Answer]) -> None:
        """Remember the answer of a new event, unless it fails: then the event may be tried again."""
        key = _digest(event)
        answers = self._of_user.setdefault(user_id, OrderedDict())
        self._of_user.move_to_end(user_id)
        answers[key] = answer
        self._total += 1
        if len(answers) > self._max_per_user:
            self._forget(user_id, next(iter(answers)))
        if self._total > self._max_in_all:
            quietest = next(iter(self._of_user))
            self._forget(quietest, next(iter(self._of_user[quietest])))
        answer.add_done_callback(lambda done: self._drop_failed(user_id, key, done))

    def _drop_failed(self, user_id: int, key: bytes, answer: asyncio.Future[Answer]) -> None:
        has_failed = answer.cancelled() or answer.exception() is not None
        answers = self._of_user.get(user_id)
        if has_failed and answers is not None and answers.get(key) is answer:
            self._forget(user_id, key)

    def _forget(self, user_id: int, key: bytes) -> None:
        answers = self._of_user[user_id]
        del answers[key]
        self._total -= 1
        if not answers:
            del self._of_user[user_id]


def _digest(event: ClientEvent) -> bytes:
    content = json.dumps([event.id, event.type, event.payload.model_dump(mode="json")], sort_keys=True)
    return blake2b(content.encode(), digest_size=16).digest()
