"""Everything that may not be, in every form that Yjs has for it, written by a stock Yjs client.

What is refused is nowhere to be seen, all replicas are equal again, and their author can go on.
"""

from itertools import count
from typing import Any

import pytest

from server.chat.judgement import Kind, Sent
from server.chat.writing import Receipt, append_message, set_fields, set_keys, set_receipts
from tests.chat.chat_server import ChatServer, assert_equal, exchange
from tests.chat.yjs import Yjs, YjsReplica

ALICE, BOB = 7, 8
ALICE_CLIENT, BOB_CLIENT, TAB_CLIENT = 1000, 2000, 500
EVIL = "EVIL"
"""Stands in all that is refused."""

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
GONE = "bbbbbbbb-0000-4000-8000-00000000000f"
_NEW = "bbbbbbbb-0000-4000-8000-%012d"
_numbers = count(10)


def new(**fields: str) -> str:
    """JavaScript for a new message of Bob's, with other fields than it should have."""
    given = {"id": f"'{_NEW % 0}'", "sender_id": "8", "body": "'hello'", "sent_at": "'2026-01-02T03:04:05Z'"}
    return "messages.push([map({" + ", ".join(f"{k}: {v}" for k, v in (given | fields).items()) + "})])"


def mine(key: str, value: str) -> str:
    return f"find('{B}').set('{key}', {value})"


def hers(key: str, value: str) -> str:
    return f"find('{A}').set('{key}', {value})"


REACTION = f"{A}:{{}}:👍"

_SET = hers("body", "'EVIL'")

REFUSED: dict[str, tuple[Kind, str]] = {
    # inserts
    "a message of somebody else": (Kind.FORGED_SENDER, new(sender_id="7", body="'EVIL'")),
    "text for a sender": (Kind.WRONG_TYPE, new(sender_id="'8'", body="'EVIL'")),
    "a bigint for a sender": (Kind.WRONG_TYPE, new(sender_id="8n", body="'EVIL'")),
    "no UUID": (Kind.WRONG_TYPE, new(id="'EVIL'")),
    "a number for a body": (Kind.WRONG_TYPE, new(body="666", mentions="['EVIL']")),
    "an object for a body": (Kind.WRONG_TYPE, new(body="{a: 'EVIL'}")),
    "a Y.Text for a body": (Kind.WRONG_TYPE, new(body="new Y.Text('EVIL')")),
    "a Y.Map for a body": (Kind.WRONG_TYPE, new(body="map({a: 'EVIL', b: map({c: 'EVIL'})})")),
    "too large a body": (Kind.TOO_LARGE, new(body="'EVIL'.repeat(4097)")),
    "too large a body in few characters": (Kind.TOO_LARGE, new(body="'EVIL' + '😀'.repeat(4096)")),
    "binary for a body": (Kind.WRONG_TYPE, new(body="new Uint8Array([69, 86, 73, 76])")),
    "text in the array": (Kind.NOT_A_MESSAGE, "messages.push(['EVIL'])"),
    "values in the array": (Kind.NOT_A_MESSAGE, "messages.insert(0, ['EVIL', 2, 'EVIL', {a: 1}])"),
    "a Y.Array in the array": (Kind.NOT_A_MESSAGE, "messages.insert(1, [Y.Array.from(['EVIL', 1])])"),
    "a Y.Text in the array": (Kind.NOT_A_MESSAGE, "messages.insert(1, [new Y.Text('EVIL')])"),
    "XML in the array": (Kind.NOT_A_MESSAGE, "messages.push([new Y.XmlElement('EVIL')])"),
    "a document in the array": (Kind.NOT_A_MESSAGE, "messages.push([new Y.Doc({guid: 'EVIL'})])"),
    "text in another root": (
        Kind.UNKNOWN,
        "doc.getText('other').insert(0, 'EVIL'); doc.getText('other').insert(2, 'EVIL')",
    ),
    "a key of another root": (
        Kind.UNKNOWN,
        "doc.getMap('other').set('k', 'EVIL'); doc.getMap('other').set('k', 'EVIL')",
    ),
    # sets
    "another's body": (Kind.NOT_YOURS, hers("body", "'EVIL'")),
    "another's body, twice": (Kind.NOT_YOURS, hers("body", "'EVIL'") + ";" + hers("body", "'EVIL 2'")),
    "another's tombstone": (
        Kind.NOT_YOURS,
        hers("deleted", "true") + ";" + hers("edited_at", "'2026-01-02T03:04:05EVIL'"),
    ),
    "another's mentions": (Kind.NOT_YOURS, hers("mentions", "[8, 'EVIL']")),
    "one's own number": (Kind.SERVER_ONLY, mine("seq", "'EVIL'")),
    "one's own server time": (Kind.SERVER_ONLY, mine("server_time", "'EVIL'")),
    "another's number": (Kind.SERVER_ONLY, hers("seq", "'EVIL'")),
    "one's own sender": (
        Kind.FORGED_SENDER,
        mine("sender_id", "7") + "; doc.getMap('thread').set('k', 'EVIL')",
    ),
    "another id": (Kind.FIXED, mine("nothing", "'EVIL'") + ";" + mine("id", f"'{GONE}'")),
    "another time of sending": (
        Kind.FIXED,
        mine("sent_at", "'2020-01-01T00:00:00Z'") + ";" + mine("x", "'EVIL'"),
    ),
    "an unknown field": (Kind.UNKNOWN, mine("role", "'EVIL'")),
    "a nested map for a field": (Kind.WRONG_TYPE, mine("body", "map({a: 'EVIL'})")),
    "a nested text, edited later": (
        Kind.WRONG_TYPE,
        mine("body", "new Y.Text('EVIL')") + f"; find('{B}').get('body').insert(1, 'EVIL')",
    ),
    "an oversized edit": (Kind.TOO_LARGE, mine("body", "'EVIL'.repeat(5000)")),
    "mentions as a Y.Array": (Kind.WRONG_TYPE, mine("mentions", "Y.Array.from([7, 'EVIL'])")),
    "mentions of names": (Kind.WRONG_TYPE, mine("mentions", "['EVIL']")),
    "too many mentions": (
        Kind.TOO_LARGE,
        mine("mentions", "Array(1001).fill(7)") + ";" + mine("y", "'EVIL'"),
    ),
    "a time that is none": (Kind.WRONG_TYPE, mine("edited_at", "'EVIL on a sunny afternoon'")),
    "an answer to nothing": (Kind.WRONG_TYPE, mine("reply_to", "'EVIL'")),
    "deleted as text": (Kind.WRONG_TYPE, mine("deleted", "'EVIL'")),
    "an edit of a deleted message": (Kind.IS_DELETED, f"find('{GONE}').set('body', 'EVIL')"),
    "a deleted message brought back": (
        Kind.WRONG_TYPE,
        f"find('{GONE}').set('deleted', false); find('{GONE}').set('z', 'EVIL')",
    ),
    "receipts": (Kind.SERVER_ONLY, "receipts.set('8', {delivered_seq: 99, read_seq: 'EVIL'})"),
    "receipts of nobody": (Kind.SERVER_ONLY, "receipts.set('99', 'EVIL'); receipts.set('99', 'EVIL')"),
    "receipts as a map": (Kind.SERVER_ONLY, "receipts.set('8', map({read_seq: 'EVIL'}))"),
    "the thread": (Kind.SERVER_ONLY, "thread.set('segment', 'EVIL')"),
    "another's reaction": (Kind.NOT_YOURS, f"reactions.set('{REACTION.format(7)}', 'EVIL')"),
    "a new reaction of another": (
        Kind.NOT_YOURS,
        f"reactions.set('{B}:7:x', true); reactions.set('{B}:7:x', 'EVIL')",
    ),
    "a reaction that says something": (Kind.WRONG_TYPE, f"reactions.set('{REACTION.format(8)}', 'EVIL')"),
    "a reaction that is a map": (Kind.WRONG_TYPE, f"reactions.set('{B}:8:x', map({{a: 'EVIL'}}))"),
    "a reaction without a user": (Kind.UNKNOWN, "reactions.set('hello', 'EVIL')"),
    "a reaction with too much of an emoji": (
        Kind.UNKNOWN,
        f"reactions.set('{A}:8:' + 'x'.repeat(33), 'EVIL')",
    ),
    # nested replaces
    "a message exchanged for another": (
        Kind.MESSAGE_REMOVED,
        f"const at = place('{A}'); messages.delete(at, 1);"
        f"messages.insert(at, [map({{id: '{A}', sender_id: 7, body: 'EVIL'}})])",
    ),
    "one's own message exchanged": (
        Kind.MESSAGE_REMOVED,
        f"const at = place('{B}'); messages.delete(at, 1);"
        f"messages.insert(at, [map({{id: '{B}', sender_id: 8, body: 'EVIL'}})])",
    ),
    "a field taken away and set": (Kind.NOT_YOURS, f"find('{A}').delete('body');" + hers("body", "'EVIL'")),
    "everything exchanged": (
        Kind.MESSAGE_REMOVED,
        "messages.delete(0, 3); messages.push(['EVIL', map({sender_id: 7, body: 'EVIL'})])",
    ),
    # deletions
    "another's message": (Kind.MESSAGE_REMOVED, f"messages.delete(place('{A}'), 1)"),
    "one's own message": (Kind.MESSAGE_REMOVED, f"messages.delete(place('{B}'), 1)"),
    "all messages": (Kind.MESSAGE_REMOVED, "messages.delete(0, 3)"),
    "another's field": (Kind.FIELD_REMOVED, f"find('{A}').delete('body')"),
    "a field of one's own": (Kind.FIELD_REMOVED, f"find('{B}').delete('body')"),
    "all fields": (Kind.FIELD_REMOVED, f"find('{A}').clear(); find('{B}').clear()"),
    "the server's field": (Kind.FIELD_REMOVED, f"find('{B}').delete('seq')"),
    "another's reaction, deleted": (Kind.FIELD_REMOVED, f"reactions.delete('{REACTION.format(7)}')"),
    "receipts, deleted": (Kind.FIELD_REMOVED, "receipts.clear()"),
    "the thread, deleted": (Kind.FIELD_REMOVED, "thread.delete('segment')"),
    "set and deleted again": (
        Kind.FIELD_REMOVED,
        f"doc.transact(() => {{ {_SET}; find('{A}').delete('body') }})",
    ),
    "undone": (
        Kind.MESSAGE_REMOVED,
        f"const undo = new Y.UndoManager(messages); messages.delete(place('{A}'), 1); undo.undo();"
        f"undo.redo(); find('{B}').set('seq', 'EVIL')",
    ),
}
"""What it is -> (a reason among those given, JavaScript that does it as Bob)."""


class Scene:
    """A thread with some messages: Bob's client is about to do wrong, Alice's looks on."""

    def __init__(self, yjs: Yjs, *, gc: bool = True) -> None:
        users = {ALICE_CLIENT: ALICE, BOB_CLIENT: BOB, TAB_CLIENT: BOB}
        self.server = ChatServer(users)
        self.keeps_garbage = not gc
        self.alice = yjs.replica("alice", ALICE_CLIENT)
        self.bob = yjs.replica("bob", BOB_CLIENT, gc=gc)
        self._fill()
        self.before = self.sync()

    def _fill(self) -> None:
        server = self.server
        at_sent = "sent_at: '2026-01-01T00:00:00.000Z'"
        for update in self.alice.run(
            f"messages.push([map({{id: '{A}', sender_id: 7, body: 'hers', {at_sent}, mentions: [8]}})]);"
            f"reactions.set('{REACTION.format(7)}', true)"
        ):
            assert not server.receive(update, ALICE).refusals
        self.bob.apply(server.answer(b"\0"))
        for update in self.bob.run(
            f"messages.push([map({{id: '{B}', sender_id: 8, body: 'his', {at_sent}, reply_to: '{A}'}})]);"
            f"reactions.set('{REACTION.format(8)}', true)"
        ):
            assert not server.receive(update, BOB).refusals
        gone = {"id": GONE, "sender_id": BOB, "body": "was", "deleted": True, "server_time": "then", "seq": 1}
        server.write(append_message(server.thread, server.at, gone))
        items = [message.item for message in server.thread.all_messages()]
        numbered = [(item, {"seq": seq, "server_time": "now"}) for seq, item in enumerate(items, 2)]
        server.write(set_fields(server.thread, server.at, numbered))
        server.write(set_receipts(server.thread, server.at, {ALICE: Receipt(2, 1), BOB: Receipt(3, 3)}))
        server.write(set_keys(server.thread.roots["thread"], "thread", server.at, {"segment": 1}))

    def sync(self) -> dict[str, Any]:
        """All exchange everything; nothing may be left to refuse. Returns what all say."""
        for replica, user_id in ((self.bob, BOB), (self.alice, ALICE), (self.bob, BOB)):
            assert exchange(self.server, replica, user_id).refusals == ()
        return assert_equal(self.server, self.alice, self.bob)

    def send(self, updates: list[bytes], sender: YjsReplica, user_id: int = BOB) -> list[str]:
        """Let the server judge what a client sends, and tell the others; returns the kinds of what is refused."""
        kinds: list[str] = []
        for update in updates:
            judgement = self.server.receive(update, user_id)
            kinds += [refusal.kind for refusal in judgement.refusals]
            for replica in (self.alice, self.bob):
                if replica is not sender:
                    replica.apply(judgement.accepted)
                replica.apply(judgement.correction)
        return kinds

    def assert_nothing_evil(self) -> None:
        held = [*self.server.log, self.server.answer(b"\0"), self.alice.encode()]
        if not self.keeps_garbage:
            held.append(self.bob.encode())
        assert not [update for update in held if EVIL.encode() in update]

    def go_on(self) -> None:
        """Bob does all that he may, and Alice sees it."""
        message_id = _NEW % next(_numbers)
        updates = self.bob.run(
            new(id=f"'{message_id}'") + f"; find('{message_id}').set('body', 'edited');"
            f"find('{B}').set('body', 'his own'); find('{B}').set('edited_at', '2026-01-02T03:04:05Z');"
            f"reactions.delete('{REACTION.format(8)}'); reactions.set('{B}:8:❤️', true);"
        )
        assert self.send(updates, self.bob) == []
        said = assert_equal(self.server, self.alice, self.bob)
        bodies = {message.get("id"): message.get("body") for message in said["messages"]}
        assert bodies[message_id] == "edited"
        assert bodies[B] == "his own"
        assert f"{B}:8:❤️" in said["reactions"]
        assert REACTION.format(8) not in said["reactions"]
        self.sync()


@pytest.fixture(params=[True, False], ids=["gc", "no gc"])
def scene(yjs: Yjs, request: pytest.FixtureRequest) -> Scene:
    return Scene(yjs, gc=request.param)


def unordered(said: dict[str, Any]) -> dict[str, Any]:
    return said | {"messages": sorted(said["messages"], key=lambda message: str(message.get("id")))}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_nowhere_to_be_seen_and_its_author_goes_on(scene: Scene, what: str) -> None:
    kind, code = REFUSED[what]
    assert kind in scene.send(scene.bob.run(code), scene.bob)
    assert scene.sync() == scene.before
    scene.assert_nothing_evil()
    scene.go_on()


@pytest.mark.parametrize("what", REFUSED)
def test_of_a_merged_update_only_what_is_refused_goes(scene: Scene, what: str) -> None:
    kind, code = REFUSED[what]
    before, between, after = (_NEW % next(_numbers) for _ in range(3))
    code = ";".join(
        (
            new(id=f"'{before}'"),
            f"find('{before}').set('mentions', [7])",
            new(id=f"'{between}'"),
            f"{{ {code} }}",
            new(id=f"'{after}'"),
            f"find('{between}').set('body', 'edited')",
        )
    )
    assert kind in scene.send(scene.bob.run(code, is_merged=True), scene.bob)
    said = scene.sync()
    scene.assert_nothing_evil()
    old = {message.get("id") for message in scene.before["messages"]}
    assert [message for message in said["messages"] if message.get("id") in old] == scene.before["messages"]
    assert {root: said[root] for root in ("reactions", "receipts", "thread")} == {
        root: scene.before[root] for root in ("reactions", "receipts", "thread")
    }
    added = {message["id"]: message for message in said["messages"] if message.get("id") not in old}
    assert added.keys() == {before, between, after}
    assert added[before]["mentions"] == [7]
    assert added[between]["body"] == "edited"
    sent = [news.message.message_id for news in scene.server.news if isinstance(news, Sent)]
    assert sent[-3:] == [before, between, after]
    scene.go_on()


@pytest.mark.parametrize("what", REFUSED)
def test_what_was_written_before_the_correction_came_is_kept(yjs: Yjs, scene: Scene, what: str) -> None:
    """By the same client, and by another tab of its user's, which saw the refused edit first."""
    tab = yjs.replica("tab", TAB_CLIENT)
    tab.apply(scene.bob.encode())
    wrong = scene.bob.run(REFUSED[what][1])
    tab.apply(*wrong)
    ids = [_NEW % next(_numbers) for _ in range(2)]
    reacts = [f"reactions.set('{message_id}:8:x', true)" for message_id in ids]
    right = scene.bob.run(new(id=f"'{ids[0]}'") + ";" + reacts[0])
    more = tab.run(new(id=f"'{ids[1]}'") + ";" + reacts[1])
    corrections = []
    for update in (*wrong, *more, *right):
        judgement = scene.server.receive(update, BOB)
        scene.alice.apply(judgement.accepted, judgement.correction)
        corrections.append(judgement.correction)
    scene.bob.apply(*corrections, *more)
    tab.apply(*corrections)
    assert exchange(scene.server, tab, BOB).refusals == ()
    said = scene.sync()
    assert_equal(scene.server, tab)
    scene.assert_nothing_evil()
    added = [message.pop("id") for message in said["messages"] if message["id"] in ids]
    assert sorted(added) == ids
    assert {f"{message_id}:8:x" for message_id in ids} <= said["reactions"].keys()
    scene.go_on()
