"""What a room does with a chat thread, without sockets: the general gate, the thread's gate, the engine."""

from collections.abc import Container, Mapping
from typing import Any, cast

from pycrdt import Array, Doc, Map

from server.chat.judgement import Judgement, News
from server.chat.judging import judge_thread
from server.chat.thread import Thread
from server.engine.document import Document, write_state_vector
from server.protocol.id_set import read_id_set
from server.protocol.structs import Id
from server.protocol.update_shape import check_state_vector, check_update
from server.rooms.gate import judge

SERVER = 3
"""The server's client id: low, so that of what is set at once with its corrections the users' comes last."""


class ChatServer:
    """`users`: client id -> whose it is. `log`: all updates that it has applied."""

    def __init__(self, users: Mapping[int, int]) -> None:
        self.document = Document()
        self.thread = Thread()
        self.users = dict(users)
        self.log: list[bytes] = []
        self.news: list[News] = []

    @property
    def at(self) -> Id:
        return SERVER, self.thread.next_clock(SERVER)

    def receive(self, update: bytes, user_id: int, relayable: Container[int] = ()) -> Judgement:
        """Judge an update that lacks nothing and apply what comes of it."""
        verdict = judge(
            update,
            self.document.contents,
            self.users.get,
            user_id=user_id,
            is_reply=True,
            relayable=relayable,
        )
        assert verdict.rest is None
        if verdict.ready is None or not self.document.contents.adds(check_update(verdict.ready)):
            return Judgement(None)
        judgement = judge_thread(verdict.ready, self.thread, user_id, self.users.get, at=self.at)
        for part in (judgement.accepted, judgement.correction):
            if part is not None:
                self._apply(part)
        self.news += judgement.news
        return judgement

    def write(self, update: bytes | None) -> bytes:
        """Apply an update of the server's own."""
        assert update is not None
        self.thread.take_in(update)
        self._apply(update)
        return update

    def _apply(self, update: bytes) -> None:
        self.document.apply(update, check_update(update))
        self.log.append(update)

    def answer(self, state_vector: bytes) -> bytes:
        """What a replica lacks."""
        return self.document.encode_since(state_vector)

    def state(self) -> bytes:
        return self.document.state_vector()

    def json(self) -> dict[str, Any]:
        """What all four roots hold, by the engine; and that the thread knows the same."""
        self.check()
        return read_roots(cast("Doc[Any]", self.document.ydoc))

    def check(self) -> None:
        """That the thread holds what the engine holds, id by id, and would if it were loaded anew."""
        encoded = self.document.encode_since(b"\0")
        deleted, _ = read_id_set(self.document.ydoc.get_update(self.state()), 1)
        loaded = Thread()
        loaded.take_in(encoded)
        for thread in (self.thread, loaded):
            assert write_state_vector(thread.state)
            assert check_state_vector(self.state()) == thread.state
            assert thread.deleted == deleted
        assert list(loaded.all_messages()) == list(self.thread.all_messages())


def read_roots(doc: Doc[Any]) -> dict[str, Any]:
    """What all four roots hold."""
    held: dict[str, Any] = {"messages": doc.get("messages", type=Array).to_py()}
    for root in ("reactions", "receipts", "thread"):
        held[root] = doc.get(root, type=Map).to_py()
    return {root: plain(value) for root, value in held.items()}


def plain(value: Any) -> Any:
    """Whole floats as integers, as JavaScript has them."""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items()}
    if isinstance(value, list):
        return [plain(held) for held in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def exchange(server: ChatServer, replica: Any, user_id: int) -> Judgement:
    """Sync both ways, as the stock protocol does: each sends what the other lacks."""
    judgement = server.receive(replica.encode(server.state()), user_id)
    replica.apply(server.answer(replica.state()))
    return judgement


def assert_equal(server: ChatServer, *replicas: Any) -> dict[str, Any]:
    """That all say and hold the same; returns it."""
    said = server.json()
    state = check_state_vector(server.state())
    for replica in replicas:
        assert replica.json() == said
        assert check_state_vector(replica.state()) == state
    return said
