"""A thread's rules at work in its room: what the judge says becomes what the room does."""

from collections.abc import Callable

from crdt_store.effects import Effect
from server.chat.judgement import Kind, News
from server.chat.judging import judge_thread
from server.chat.thread import Thread
from server.protocol.structs import Id
from server.rooms.rules import Ruling
from server.rooms.runs import Run

Record = Callable[[tuple[News, ...], Run | None], Effect]
"""What stores the news of an update, by this run of an agent, together with it."""


class ChatRules:
    """`rooms.rules.DocumentRules` of a chat's document."""

    def __init__(self, record: Record) -> None:
        self.thread = Thread()
        self.record = record

    def take_in(self, update: bytes) -> None:
        """The document holds this."""
        self.thread.take_in(update)

    def judge(
        self,
        update: bytes,
        user_id: int,
        owner_of: Callable[[int], int | None],
        *,
        at: Id,
        run: Run | None = None,
    ) -> Ruling:
        """Of a resend nobody is told: all that it wanted is there."""
        judgement = judge_thread(update, self.thread, user_id, owner_of, at=at)
        return Ruling(
            judgement.accepted,
            judgement.correction,
            [refusal.text for refusal in judgement.refusals if refusal.kind is not Kind.DUPLICATE],
            [self.record(judgement.news, run)] if judgement.news else (),
        )
