"""What no Yjs client writes, but anybody may send."""

from typing import Any

import pytest

from server.chat import judging
from server.chat.judgement import Judgement, Kind
from server.chat.writing import append_message, set_fields
from server.protocol.id_set import IdSet
from server.protocol.structs import GC, TYPE, read_structs
from server.protocol.varint import buf
from server.replica.judging import MAX_REFUSALS
from server.replica.pen import Pen, clip_of, map_clip
from tests.chat.chat_server import ChatServer, assert_equal, exchange
from tests.chat.pycrdt_replica import PycrdtReplica
from tests.chat.yjs import Yjs
from tests.protocol.update_bytes import gc, item, update

ALICE, BOB = 7, 8
ALICE_CLIENT, BOB_CLIENT = 1000, 2000
A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"

MESSAGE = {"id": A, "sender_id": ALICE, "body": "hers"}


@pytest.fixture
def server() -> ChatServer:
    """With a message of Alice's at (3, 0): id at clock 1, sender_id at 2, body at 3."""
    server = ChatServer({ALICE_CLIENT: ALICE, BOB_CLIENT: BOB})
    server.write(append_message(server.thread, server.at, MESSAGE))
    return server


def judge(server: ChatServer, crafted: bytes) -> Judgement:
    return server.receive(crafted, BOB)


def pen() -> Pen:
    return Pen((BOB_CLIENT, 0))


def kinds(judgement: Judgement) -> list[str]:
    return [refusal.kind for refusal in judgement.refusals]


def goes_on(server: ChatServer, yjs: Yjs) -> None:
    """Alice's message is as it was, everywhere; Bob can write."""
    replicas: list[Any] = [yjs.replica("other", 77), PycrdtReplica(78)]
    for replica in replicas:
        replica.apply(*server.log)
    assert assert_equal(server, *replicas)["messages"] == [MESSAGE]
    bob = yjs.replica("bob", BOB_CLIENT)
    bob.apply(server.answer(b"\0"))
    for sent in bob.run(f"messages.push([map({{id: '{B}', sender_id: 8, body: 'his'}})])"):
        assert server.receive(sent, BOB).refusals == ()
    assert len(assert_equal(server, bob)["messages"]) == 2


def test_deleted_content_on_top_of_anothers_field_takes_nothing_away(server: ChatServer, yjs: Yjs) -> None:
    crafted = update((BOB_CLIENT, 0, [item(1, b"\1", origin=(3, 3))]))
    judgement = judge(server, crafted)
    assert kinds(judgement) == [Kind.FIELD_REMOVED]
    goes_on(server, yjs)


def test_an_entry_before_the_one_that_counts_is_refused_like_any(server: ChatServer, yjs: Yjs) -> None:
    crafted = pen()
    crafted.put(clip_of("EVIL"), None, (3, 3), (3, 0), "body")
    assert kinds(judge(server, crafted.update() or b"")) == [Kind.NOT_YOURS]
    goes_on(server, yjs)


def test_what_stands_between_different_places_is_garbage(server: ChatServer, yjs: Yjs) -> None:
    crafted = pen()
    crafted.put(clip_of("EVIL"), (3, 0), (3, 3), "messages")
    crafted.put(clip_of("EVIL"), (3, 1), (3, 2), "messages")
    judgement = judge(server, crafted.update() or b"")
    assert kinds(judgement) == [Kind.GONE]
    assert {struct.ref for struct in read_structs(judgement.accepted or b"")[0]} == {0}
    goes_on(server, yjs)


def test_what_hangs_below_what_is_no_type_is_garbage(server: ChatServer, yjs: Yjs) -> None:
    crafted = pen()
    crafted.put(clip_of("EVIL"), None, None, (3, 3), "body")
    assert kinds(judge(server, crafted.update() or b"")) == [Kind.GONE]
    goes_on(server, yjs)


def test_the_array_has_no_keys_and_the_maps_have_no_items(server: ChatServer, yjs: Yjs) -> None:
    crafted = pen()
    crafted.put(clip_of("EVIL"), None, None, "messages", "body")
    crafted.put(map_clip({"body": "EVIL"}), None, None, "messages", "body")
    crafted.put(clip_of("EVIL"), None, None, (3, 0))
    crafted.put(clip_of("EVIL"), None, None, "reactions")
    crafted.put(clip_of("EVIL"), None, None, "receipts")
    judgement = judge(server, crafted.update() or b"")
    assert set(kinds(judgement)) == {Kind.UNKNOWN, Kind.SERVER_ONLY}
    assert b"EVIL" not in (judgement.accepted or b"")
    goes_on(server, yjs)


def test_several_values_in_one_entry_are_refused(server: ChatServer, yjs: Yjs) -> None:
    crafted = update((BOB_CLIENT, 0, [item(8, b"\2\x77\4EVIL\x77\4EVIL", origin=(3, 3))]))
    assert kinds(judge(server, crafted)) == [Kind.NOT_YOURS]
    goes_on(server, yjs)


def test_text_as_the_content_of_an_entry_is_refused(server: ChatServer, yjs: Yjs) -> None:
    own = pen()
    own.put(map_clip({"id": B, "sender_id": BOB}), None, None, "messages")
    server.receive(own.update() or b"", BOB)
    crafted = b"\1\1" + b"\xd0\x0f\3" + b"\x24\0\xd0\x0f\0" + buf(b"body") + buf(b"EVIL") + b"\0"
    assert kinds(judge(server, crafted)) == [Kind.WRONG_TYPE]
    assert "EVIL" not in str(assert_equal(server))


def test_garbage_is_let_through_and_what_hangs_on_it_is_garbage(server: ChatServer, yjs: Yjs) -> None:
    judgement = judge(server, update((BOB_CLIENT, 0, [gc(5)])))
    assert (judgement.refusals, judgement.correction) == ((), None)
    crafted = Pen((BOB_CLIENT, 5))
    crafted.put(map_clip({"id": B, "sender_id": BOB, "body": "x"}), (BOB_CLIENT, 2), None, "messages")
    assert kinds(judge(server, crafted.update() or b"")) == [Kind.GONE]
    goes_on(server, yjs)


def test_a_long_run_of_nothing_costs_nothing(server: ChatServer, yjs: Yjs) -> None:
    """And a message in the middle of it is where its author sees it."""
    judge(server, update((BOB_CLIENT, 0, [item(1, b"\x80\x80\x80\x40", origin=(3, 0))])))
    crafted = Pen((BOB_CLIENT, 2**27))
    fields = {"id": B, "sender_id": BOB, "body": "his"}
    crafted.put(map_clip(fields), (BOB_CLIENT, 1000), (BOB_CLIENT, 1001), "messages")
    assert judge(server, crafted.update() or b"").refusals == ()
    other = yjs.replica("other", 77)
    other.apply(*server.log)
    assert assert_equal(server, other)["messages"] == [MESSAGE, fields]


def test_an_edit_of_a_message_that_the_server_had_to_put_in_anew_is_refused(yjs: Yjs) -> None:
    server = ChatServer({ALICE_CLIENT: ALICE, BOB_CLIENT: BOB})
    alice, bob = yjs.replica("alice", ALICE_CLIENT), yjs.replica("bob", BOB_CLIENT)
    for sent in alice.run(f"messages.push([map({{id: '{A}', sender_id: 7, body: 'hers'}})])"):
        server.receive(sent, ALICE)
    bob.apply(*server.log)
    for sent in bob.run("messages.delete(0, 1)"):
        assert kinds(server.receive(sent, BOB)) == [Kind.MESSAGE_REMOVED]
    late = alice.run(f"find('{A}').set('body', 'late'); find('{A}').set('edited_at', '2026-01-01T00:00:00Z')")
    for sent in late:
        assert kinds(server.receive(sent, ALICE)) == [Kind.GONE]
    for _ in range(2):
        for replica, user_id in ((alice, ALICE), (bob, BOB)):
            exchange(server, replica, user_id)
    (message,) = assert_equal(server, alice, bob)["messages"]
    assert message == MESSAGE
    for sent in alice.run(f"find('{A}').set('body', 'again')"):
        assert server.receive(sent, ALICE).refusals == ()


def test_a_tangle_is_refused_before_it_costs_much(
    server: ChatServer, yjs: Yjs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Structs that say that there was nothing when they were put at the start: each passes all those before it."""
    monkeypatch.setattr(judging, "MAX_STEPS", 1000)
    for client in range(5000, 5200):
        one = Pen((client, 0))
        one.put(map_clip({}), None, None, "messages")
        assert server.receive(one.update() or b"", BOB).refusals == ()
    tangle = Pen((6000, 0))
    for _ in range(20):
        tangle.put(map_clip({}), None, None, "messages")
    judgement = server.receive(tangle.update() or b"", BOB)
    assert kinds(judgement) == [Kind.TANGLED]
    kept = [struct.ref for struct in read_structs(judgement.accepted or b"")[0]]
    assert kept == [TYPE] * 4 + [GC] * 16
    other = yjs.replica("other", 77)
    other.apply(*server.log)
    assert_equal(server, other)


def test_a_flood_of_refusals_is_told_in_part(server: ChatServer) -> None:
    crafted = pen()
    for number in range(1000):
        crafted.put(clip_of("EVIL"), None, None, (3, 0), f"key {number}")
    judgement = judge(server, crafted.update() or b"")
    assert len(judgement.refusals) == MAX_REFUSALS
    assert assert_equal(server)["messages"] == [MESSAGE]


def test_deletions_of_what_is_deleted_already_are_let_through(server: ChatServer) -> None:
    server.write(set_fields(server.thread, server.at, [((3, 0), {"body": "newer", "seq": 1})]))
    crafted = b"\0" + IdSet([(3, 3, 1)]).write()
    judgement = server.receive(crafted, BOB)
    assert (judgement.accepted, judgement.refusals, judgement.correction) == (None, (), None)
