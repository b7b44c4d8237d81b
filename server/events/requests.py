"""Events that features deal with: in order, each once, and answered when the feature has done waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from server.events.envelope import ClientEvent
from server.events.errors import EventError, EventErrorCode
from server.events.handlers import Answer, EventHandlers, Handler, Speaker
from server.events.remembered_answers import RememberedAnswers
from server.rooms.names import RoomName

_MAX_PENDING = 256
"""Answers that one client may wait for; then no more is taken from it."""

OnAnswered = Callable[[ClientEvent, Answer | BaseException], None]


class Requests:
    """Of one client. `on_answered` gets each event with its answer, or with what it failed of."""

    def __init__(
        self, handlers: EventHandlers, answers: RememberedAnswers, speaker: Speaker, on_answered: OnAnswered
    ) -> None:
        self._handlers = handlers
        self._answers = answers
        self._speaker = speaker
        self._on_answered = on_answered
        self._pending: set[asyncio.Future[Answer]] = set()

    def handler_of(self, event: ClientEvent) -> Handler:
        """Raises EventError where no feature deals with events of this type."""
        handler = self._handlers.get(event.type)
        if handler is None:
            raise EventError(EventErrorCode.UNSUPPORTED)
        return handler

    async def take(self, handler: Handler, room: RoomName, event: ClientEvent) -> None:
        """Have it dealt with, unless that was done before; returns when the next one may be."""
        user_id = self._speaker.identity.user_id
        answer = None if event.id is None else self._answers.find(user_id, event)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            if event.id is not None:
                self._answers.keep(user_id, event, answer)
            self._pending.add(answer)
            answer.add_done_callback(partial(self._answered, event))
            await self._begin(handler(self._speaker, room, event.payload), answer)
        else:
            self._pending.add(answer)
            answer.add_done_callback(partial(self._answered, event))
        while len(self._pending) >= _MAX_PENDING:
            await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)

    async def _begin(
        self, handling: Awaitable[Answer | Awaitable[Answer]], answer: asyncio.Future[Answer]
    ) -> None:
        try:
            result = await handling
        except Exception as error:  # noqa: BLE001 - it is the answer
            answer.set_exception(error)
        except BaseException:
            answer.cancel()
            raise
        else:
            if isinstance(result, Mapping):
                answer.set_result(result)
            else:
                asyncio.ensure_future(result).add_done_callback(partial(_pass_on, answer))

    def _answered(self, event: ClientEvent, answer: asyncio.Future[Answer]) -> None:
        self._pending.discard(answer)
        if answer.cancelled():
            self._on_answered(event, EventError(EventErrorCode.UNAVAILABLE))
        else:
            self._on_answered(event, answer.exception() or answer.result())


def _pass_on(answer: asyncio.Future[Answer], done: asyncio.Future[Answer]) -> None:
    error = None if done.cancelled() else done.exception()
    if done.cancelled():
        answer.cancel()
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())
