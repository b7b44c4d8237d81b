"""What the server writes without an engine is what Yjs and pycrdt read, and would have written."""

from typing import Any

import pytest

from server.chat.fields import ReactionKey
from server.chat.thread import Thread
from server.chat.writing import (
    Receipt,
    append_message,
    set_fields,
    set_keys,
    set_reaction,
    set_receipts,
)
from server.protocol.structs import Id
from server.replica.pen import Pen
from tests.chat.chat_server import SERVER, ChatServer, assert_equal
from tests.chat.pycrdt_replica import PycrdtReplica
from tests.chat.yjs import Yjs

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
FULL: dict[str, Any] = {
    "id": B,
    "sender_id": 5_000_000_000,
    "body": "ça va? 😀\n",
    "sent_at": "2026-01-02T03:04:05Z",
    "reply_to": A,
    "mentions": [7, 8, 2**40],
    "seq": 2,
    "server_time": "2026-01-02T03:04:06Z",
}


class Written:
    """A server whose every update two other replicas take in."""

    def __init__(self, yjs: Yjs) -> None:
        self.server = ChatServer({})
        self.replicas: list[Any] = [yjs.replica("yjs", 77), PycrdtReplica(78)]

    @property
    def thread(self) -> Thread:
        return self.server.thread

    @property
    def at(self) -> Id:
        return self.server.at

    def write(self, update: bytes | None) -> dict[str, Any]:
        """Returns what all say afterwards."""
        written = self.server.write(update)
        for replica in self.replicas:
            replica.apply(written)
        return assert_equal(self.server, *self.replicas)


@pytest.fixture
def written(yjs: Yjs) -> Written:
    return Written(yjs)


def test_messages_are_appended_with_all_their_fields(written: Written) -> None:
    first = {"id": A, "sender_id": 7, "body": "", "deleted": True, "reply_to": None}
    assert written.write(append_message(written.thread, written.at, first))["messages"] == [first]
    assert written.write(append_message(written.thread, written.at, FULL))["messages"] == [first, FULL]
    message = written.thread.message(FULL["sender_id"], B)
    assert message is not None
    assert (message.body, message.seq, message.mentions) == (FULL["body"], 2, (7, 8, 2**40))


def test_fields_of_many_messages_are_set_in_one_update(written: Written) -> None:
    for number in range(3):
        written.write(append_message(written.thread, written.at, {"id": f"{number}", "body": "b"}))
    items = [node.id for node in written.thread.messages.children]
    for edition in range(3):  # the first time there is nothing to overwrite
        changes = [(item, {"seq": edition * 10 + at, "body": f"{edition}"}) for at, item in enumerate(items)]
        said = written.write(set_fields(written.thread, written.at, changes))
        assert said["messages"] == [
            {"id": f"{number}", "body": f"{edition}", "seq": edition * 10 + number} for number in range(3)
        ]
    assert set_fields(written.thread, written.at, []) is None
    with pytest.raises(KeyError):
        set_fields(written.thread, written.at, [((99, 0), {"seq": 1})])


def test_reactions_are_set_and_taken_back(written: Written) -> None:
    reaction = ReactionKey(A, 7, "👍")
    set_it = set_reaction(written.thread, written.at, reaction, is_set=True)
    assert written.write(set_it)["reactions"] == {f"{A}:7:👍": True}
    assert set_reaction(written.thread, written.at, reaction, is_set=True) is None
    unset_it = set_reaction(written.thread, written.at, reaction, is_set=False)
    assert written.write(unset_it)["reactions"] == {}
    assert set_reaction(written.thread, written.at, reaction, is_set=False) is None
    set_again = set_reaction(written.thread, written.at, reaction, is_set=True)
    assert written.write(set_again)["reactions"] == {f"{A}:7:👍": True}


def test_receipts_of_many_users_are_set_in_one_update(written: Written) -> None:
    for seq in (1, 2, 70, 300):
        receipts = {user_id: Receipt(seq, seq - 1) for user_id in range(1, 50)}
        said = written.write(set_receipts(written.thread, written.at, receipts))
        assert said["receipts"] == {
            str(user_id): {"delivered_seq": seq, "read_seq": seq - 1} for user_id in range(1, 50)
        }
    assert written.thread.value("receipts", "7") == {"delivered_seq": 300, "read_seq": 299}
    assert set_receipts(written.thread, written.at, {}) is None


def test_the_thread_says_what_it_is_told(written: Written) -> None:
    values = {"segment": 3, "older": ["chat:1@1", "chat:1@2"], "share": -0.5, "is_open": False, "topic": None}
    assert (
        written.write(set_keys(written.thread.roots["thread"], "thread", written.at, values))["thread"]
        == values
    )


def test_the_bytes_are_those_that_yjs_writes(yjs: Yjs) -> None:
    """Of a first message, of one behind it, and of fields set and set again."""
    writer = yjs.replica("writer", SERVER)
    server = ChatServer({})
    steps: list[tuple[str, Any]] = [
        (f"messages.push([map({{id: '{A}', sender_id: 7}})])", {"id": A, "sender_id": 7}),
        (
            f"messages.push([map({{id: '{B}', body: 'é', n: [1, -70, null]}})])",
            {"id": B, "body": "é", "n": [1, -70, None]},
        ),
    ]
    for code, fields in steps:
        assert writer.run(code) == [server.write(append_message(server.thread, server.at, fields))]
    for value in (1, 2000):
        (update,) = writer.run(f"doc.transact(() => {{ find('{A}').set('seq', {value}) }})")
        assert update == server.write(set_fields(server.thread, server.at, [((SERVER, 0), {"seq": value})]))


def test_a_pen_that_wrote_nothing_has_no_update() -> None:
    assert Pen((1, 5)).update() is None
