"""What moved in chats, let go of at a pace: little at once, much part by part, and of each user the latest only."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from crdt_store.receipts import Moved

MAX_AT_ONCE = 100
"""Users."""


class Trickle:
    """For each chat, `leave` gets the chat's id and what moved of at most MAX_AT_ONCE users: who waits longest first.

    That happens `delay_seconds` after the first one came; then nothing leaves for `seconds_each` times the users that
    did. Whoever moves while it waits is let go of once, with where it was before and where it is then.
    """

    def __init__(
        self, leave: Callable[[int, Sequence[Moved]], None], *, delay_seconds: float, seconds_each: float
    ) -> None:
        self._leave = leave
        self._delay_seconds = delay_seconds
        self._seconds_each = seconds_each
        self._waiting: dict[int, dict[int, Moved]] = {}  # by chat and user; the chats for which a timer runs

    def add(self, moved: Iterable[Moved]) -> None:
        """To be called on the event loop."""
        for each in moved:
            chat_id, user_id = each.after.chat_id, each.after.user_id
            if chat_id not in self._waiting:
                self._waiting[chat_id] = {}
                self._go_on_after(self._delay_seconds, chat_id)
            of_chat = self._waiting[chat_id]
            known = of_chat.get(user_id)
            of_chat[user_id] = each if known is None else Moved(known.before, each.after)

    def _go_on_after(self, seconds: float, chat_id: int) -> None:
        asyncio.get_running_loop().call_later(seconds, self._go_on, chat_id)

    def _go_on(self, chat_id: int) -> None:
        of_chat = self._waiting[chat_id]
        user_ids = list(of_chat)[:MAX_AT_ONCE]
        if not user_ids:
            del self._waiting[chat_id]
            return
        self._go_on_after(self._seconds_each * len(user_ids), chat_id)
        self._leave(chat_id, [of_chat.pop(user_id) for user_id in user_ids])
