"""A document that had content before its thread had a gate: it is kept as it is, and nobody writes it."""

from typing import Any

import pytest

from tests.chat.chat_server import ChatServer, exchange
from tests.chat.yjs import Yjs, YjsReplica

BOB, BOB_CLIENT = 8, 2000
B = "bbbbbbbb-0000-4000-8000-000000000002"

OLD = """
doc.getText('notes').insert(0, 'some notes 😀')
doc.getText('notes').format(2, 4, { bold: true })
doc.getMap('settings').set('theme', map({ colour: 'red', sizes: Y.Array.from([1, 2, map({ deep: [1] })]) }))
doc.getMap('settings').set('plain', [1, 'two'])
messages.push(['text', 1, 2, 3, { an: 'object' }, new Y.Text('shared text')])
messages.push([map({ id: 5, sender_id: 'somebody', body: new Y.Text('typed'), tags: Y.Array.from(['a', 'b']) })])
messages.push([map({ body: 'no id' })])
reactions.set('👍', 12)
receipts.set('8', map({ read: 1 }))
thread.set('topic', new Y.Text('topic'))
"""

WRONG = {
    "text typed into a root": "doc.getText('notes').insert(3, 'EVIL')",
    "text deleted in a root": "doc.getText('notes').delete(2, 5)",
    "a root emptied": "doc.getText('notes').delete(0, doc.getText('notes').length)",
    "a key set": "doc.getMap('settings').set('plain', 'EVIL')",
    "a nested map taken away": "doc.getMap('settings').delete('theme')",
    "a nested map exchanged": "doc.getMap('settings').set('theme', map({ colour: 'EVIL' }))",
    "a nested map written": "doc.getMap('settings').get('theme').set('colour', 'EVIL')",
    "a nested array cut": "doc.getMap('settings').get('theme').get('sizes').delete(1, 2)",
    "values cut out of a run": "messages.delete(2, 2)",
    "a run written into": "messages.insert(2, ['EVIL'])",
    "everything taken away": "messages.delete(0, messages.length)",
    "shared text typed into": "messages.get(5).insert(2, 'EVIL')",
    "an odd message edited": "messages.get(6).set('body', 'EVIL')",
    "an odd message's text typed into": "messages.get(6).get('body').insert(0, 'EVIL')",
    "an odd message's fields taken away": "messages.get(6).clear()",
    "a draft of nobody's claimed": "messages.get(7).set('sender_id', 8); messages.get(7).set('id', 'EVIL')",
    "receipts exchanged": "receipts.set('8', 'EVIL')",
    "receipts taken away": "receipts.clear(); reactions.clear(); thread.clear()",
}

ALL = "[doc.getText('notes').toDelta(), doc.getMap('settings').toJSON()]"


def everything(replica: YjsReplica) -> list[Any]:
    """What it says, with whatever order the array has."""
    said = replica.json()
    return [sorted(map(repr, said.pop("messages"))), said, replica.read(ALL)]


@pytest.mark.parametrize("what", WRONG)
def test_it_stays_and_whoever_changes_it_is_put_right(yjs: Yjs, what: str) -> None:
    server = ChatServer({BOB_CLIENT: BOB})
    old = yjs.replica("old", 55)
    server.write(old.run(OLD, is_merged=True)[0])
    before = everything(old)
    bob = yjs.replica("bob", BOB_CLIENT)
    bob.apply(server.answer(b"\0"))
    assert everything(bob) == before

    kinds: set[str] = set()
    for update in bob.run(WRONG[what]):
        judgement = server.receive(update, BOB)
        kinds |= {refusal.kind for refusal in judgement.refusals}
        old.apply(judgement.accepted, judgement.correction)
        bob.apply(judgement.correction)
    assert kinds
    assert exchange(server, bob, BOB).refusals == ()
    server.check()
    late = yjs.replica("late", 56)
    late.apply(server.answer(b"\0"))
    assert everything(old) == everything(bob) == everything(late) == before

    for update in bob.run(f"messages.push([map({{id: '{B}', sender_id: 8, body: 'mine'}})])"):
        assert server.receive(update, BOB).refusals == ()
    assert [message.body for message in server.thread.all_messages()] == ["mine"]
