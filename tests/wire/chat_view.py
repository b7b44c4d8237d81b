"""What a client knows of a chat, and what must hold of every event that it hears."""

from collections.abc import Mapping
from typing import Any, NamedTuple

Key = tuple[int, str]
"""A message: its sender's id and its own."""


class Said(NamedTuple):
    """A message as all must have it in the end; a deleted one has no body."""

    seq: int
    body: str
    is_deleted: bool


def said(message: Mapping[str, Any]) -> Said:
    """Of an event's payload, of a message over HTTP, or of one in a document."""
    is_deleted = message.get("deleted", False)
    return Said(message["seq"], "" if is_deleted else message["body"], is_deleted)


def key_of(message: Mapping[str, Any]) -> Key:
    return message["sender_id"], message["id"]


class View:
    """What a JSON client knows from its events alone, of which each must come once and in order.

    `reactions`: "{message id}:{user id}:{emoji}", as in documents. `marks`: (user id, status) -> seq.
    """

    def __init__(self) -> None:
        self.last_event_seq = 0
        self.messages: dict[Key, Said] = {}
        self.reactions: set[str] = set()
        self.marks: dict[tuple[int, str], int] = {}

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in an event. Raises AssertionError if it cannot follow those before it."""
        payload = event["payload"]
        if event["type"] == "message":
            assert payload["event_seq"] == self.last_event_seq + 1, (self.last_event_seq, event)
            self.last_event_seq += 1
            self._hear_message(event["sender_id"], payload)
        elif event["type"] == "message_status":
            for status in payload["statuses"]:
                mark = status["user_id"], status["status"]
                assert status["seq"] >= self.marks.get(mark, 0), (self.marks, status)
                self.marks[mark] = status["seq"]

    def _hear_message(self, sender_id: int, payload: Mapping[str, Any]) -> None:
        action, key = payload["action"], (sender_id, payload["id"])
        if action in ("react", "unreact"):
            reaction = f"{payload['id']}:{sender_id}:{payload['reaction']}"
            (self.reactions.add if action == "react" else self.reactions.discard)(reaction)
        elif action == "send":
            assert key not in self.messages, payload
            assert payload["seq"] == len(self.messages) + 1, payload
            self.messages[key] = said(payload)
        else:
            assert self.messages[key].seq == payload["seq"], payload
            assert not self.messages[key].is_deleted, payload
            self.messages[key] = said(payload)

    def own(self, user_id: int) -> list[str]:
        """Ids of the user's messages, but for deleted ones."""
        return [key[1] for key, each in self.messages.items() if key[0] == user_id and not each.is_deleted]
