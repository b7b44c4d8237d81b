"""A replica of a chat thread in pycrdt, with the methods of a `YjsReplica` that do not run JavaScript."""

from typing import Any

from pycrdt import Array, Doc, Map

from tests.chat.chat_server import read_roots


class PycrdtReplica:
    def __init__(self, client_id: int) -> None:
        self._doc: Doc[Any] = Doc(client_id=client_id)
        self.messages = self._doc.get("messages", type=Array)
        self.reactions = self._doc.get("reactions", type=Map)
        self.receipts = self._doc.get("receipts", type=Map)
        self._updates: list[bytes] = []
        self._doc.observe(lambda event: self._updates.append(event.update))

    def sent(self) -> list[bytes]:
        """The updates since it was asked last; what came by `apply` is not among them."""
        sent, self._updates[:] = self._updates[:], []
        return sent

    def find(self, message_id: str, sender_id: int) -> Map[Any] | None:
        for message in self.messages:
            if not isinstance(message, Map):
                continue
            if message.get("id") == message_id and message.get("sender_id") == sender_id:
                return message
        return None

    def apply(self, *updates: bytes | None) -> None:
        kept = self.sent()
        for update in updates:
            if update is not None:
                self._doc.apply_update(update)
        self._updates[:] = kept

    def state(self) -> bytes:
        return self._doc.get_state()

    def encode(self, state: bytes | None = None) -> bytes:
        return self._doc.get_update(state)

    def json(self) -> dict[str, Any]:
        return read_roots(self._doc)
