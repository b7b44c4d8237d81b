"""What its users may do with a thread, and what the rest of the server hears of it."""

from typing import Any

import pytest

from server.chat.judgement import Edited, Judgement, Kind, News, Reacted, Sent, Tombstoned
from server.chat.writing import append_message
from tests.chat.chat_server import ChatServer, assert_equal, exchange
from tests.chat.yjs import Yjs, YjsReplica

ALICE, BOB = 7, 8
ALICE_CLIENT, BOB_CLIENT = 1000, 2000
AT = "2026-01-02T03:04:05.678Z"


def uuid(number: int) -> str:
    return f"aaaaaaaa-0000-4000-8000-{number:012}"


def new(number: int, **fields: str) -> str:
    given = {"id": f"'{uuid(number)}'", "sender_id": "7", "body": f"'body {number}'"} | fields
    return "messages.push([map({" + ", ".join(f"{key}: {value}" for key, value in given.items()) + "})])"


def change(number: int, **fields: str) -> str:
    return ";".join(f"find('{uuid(number)}').set('{key}', {value})" for key, value in fields.items())


class Chat:
    """Alice's client with a server that judges at once all she sends."""

    def __init__(self, yjs: Yjs) -> None:
        self.server = ChatServer({ALICE_CLIENT: ALICE, BOB_CLIENT: BOB})
        self.alice = yjs.replica("alice", ALICE_CLIENT)
        self.bob = yjs.replica("bob", BOB_CLIENT)

    def run(self, code: str, *, is_merged: bool = False) -> list[News]:
        """Let Alice do something that she may; returns the news of it."""
        news: list[News] = []
        for update in self.alice.run(code, is_merged=is_merged):
            judgement = self.server.receive(update, ALICE)
            assert is_merged or judgement.accepted == update  # what is overwritten within it may go
            assert (judgement.correction, judgement.refusals) == (None, ())
            news += judgement.news
        return news

    def judge(self, code: str, *, is_merged: bool = False) -> list[Judgement]:
        """Let Alice do something else."""
        judgements = [
            self.server.receive(update, ALICE) for update in self.alice.run(code, is_merged=is_merged)
        ]
        self.alice.apply(*(judgement.correction for judgement in judgements))
        return judgements

    def said(self) -> dict[str, Any]:
        for replica, user_id in ((self.alice, ALICE), (self.bob, BOB)):
            assert exchange(self.server, replica, user_id).refusals == ()
        return assert_equal(self.server, self.alice, self.bob)


@pytest.fixture
def chat(yjs: Yjs) -> Chat:
    return Chat(yjs)


def seen(news: list[News]) -> list[tuple[str, str]]:
    return [
        (type(item).__name__, item.message_id if isinstance(item, Reacted) else item.message.message_id)
        for item in news
    ]


def kinds(judgements: list[Judgement]) -> list[str]:
    return [refusal.kind for judgement in judgements for refusal in judgement.refusals]


def test_a_message_is_news_with_all_its_fields(chat: Chat) -> None:
    (sent,) = chat.run(new(1, sent_at=f"'{AT}'", reply_to=f"'{uuid(9)}'", mentions="[8, 5000000000]"))
    assert isinstance(sent, Sent)
    message = sent.message
    assert message.item == (ALICE_CLIENT, 0)
    assert message._replace(item=(0, 0)) == (
        (0, 0), uuid(1), ALICE, "body 1", AT, uuid(9), None, False, (8, 5_000_000_000), None, None
    )  # fmt: skip
    assert chat.server.thread.message(ALICE, uuid(1)) == message


def test_edits_and_tombstones_are_news_each_once(chat: Chat) -> None:
    chat.run(new(1))
    edit = change(1, body="'new'", edited_at=f"'{AT}'")
    (edited,) = chat.run(f"doc.transact(() => {{ {edit} }})")
    assert isinstance(edited, Edited)
    assert edited.fields == ("body", "edited_at")
    assert edited.message.body == "new"
    assert seen(chat.run(change(1, mentions="[8]"))) == [("Edited", uuid(1))]
    assert seen(chat.run(change(1, reply_to="null"))) == []  # it had none
    (tombstoned,) = chat.run(change(1, deleted="true"))
    assert isinstance(tombstoned, Tombstoned)
    assert tombstoned.message.is_deleted
    assert chat.run(change(1, deleted="true")) == []


def test_a_field_set_to_what_it_is_is_no_offence(chat: Chat) -> None:
    """Some clients write all fields of a message again when one has changed."""
    chat.run(new(1, sent_at=f"'{AT}'"))
    same = change(1, id=f"'{uuid(1)}'", sender_id="7", sent_at=f"'{AT}'", body="'other'")
    assert seen(chat.run(same)) == [("Edited", uuid(1))]
    chat.run(change(1, deleted="true"))
    assert chat.run(change(1, body="'other'")) == []


def test_reactions_are_news_when_set_and_when_taken_back(chat: Chat) -> None:
    key = f"{uuid(1)}:7:👩‍👩‍👧‍👦"
    assert chat.run(f"reactions.set('{key}', true)") == [Reacted(uuid(1), ALICE, "👩‍👩‍👧‍👦", True)]
    assert chat.run(f"reactions.set('{key}', true)") == []
    assert chat.run(f"reactions.delete('{key}')") == [Reacted(uuid(1), ALICE, "👩‍👩‍👧‍👦", False)]
    assert chat.run(f"reactions.set('{key}', true); reactions.delete('{key}')", is_merged=True) == []
    assert chat.run(f"reactions.set('{uuid(1)}:7::+1:', true)") == [Reacted(uuid(1), ALICE, ":+1:", True)]
    assert chat.said()["reactions"] == {f"{uuid(1)}:7::+1:": True}
    assert [reaction.emoji for reaction in chat.server.thread.all_reactions()] == [":+1:"]


def test_five_hundred_messages_written_offline_all_come_in_order(chat: Chat) -> None:
    code = ";".join(new(number) for number in range(500)) + ";" + change(3, body="'edited'", deleted="true")
    news = chat.run(code, is_merged=True)
    assert seen(news) == [
        entry
        for number in range(500)
        for entry in [("Sent", uuid(number)), ("Tombstoned", uuid(number))][: 2 if number == 3 else 1]
    ]
    chat.said()


def test_of_five_hundred_messages_only_the_forged_one_goes(chat: Chat) -> None:
    code = ";".join(new(number, sender_id="8" if number == 250 else "7") for number in range(500))
    (judgement,) = chat.judge(code, is_merged=True)
    assert [refusal.kind for refusal in judgement.refusals] == [Kind.FORGED_SENDER]
    assert len(judgement.news) == 499
    assert len(chat.said()["messages"]) == 499


def test_a_message_may_come_field_by_field(chat: Chat) -> None:
    assert chat.run("messages.push([map({})])") == []
    assert chat.run(f"messages.get(0).set('id', '{uuid(1)}')") == []
    assert chat.run("messages.get(0).set('body', 'hello')") == []
    assert seen(chat.run("messages.get(0).set('sender_id', 7)")) == [("Sent", uuid(1))]
    assert chat.server.thread.message(ALICE, uuid(1)) is not None


def test_a_draft_is_its_authors_who_may_also_take_it_away(chat: Chat) -> None:
    chat.run(f"messages.push([map({{body: 'a draft'}})]); {new(2)}")
    chat.said()
    (claim,) = chat.bob.run("messages.get(0).set('sender_id', 8)")
    judgement = chat.server.receive(claim, BOB)
    assert [refusal.kind for refusal in judgement.refusals] == [Kind.NOT_YOURS]
    (removal,) = chat.bob.run("messages.delete(0, 1)")
    judgement = chat.server.receive(removal, BOB)
    assert [refusal.kind for refusal in judgement.refusals] == [Kind.MESSAGE_REMOVED]
    drafts = [message for message in chat.said()["messages"] if message.get("body") == "a draft"]
    assert drafts == [{"body": "a draft", "sender_id": ALICE}]  # the copy says whose it is
    at = "messages.toArray().findIndex(message => message.get('body') === 'a draft')"
    chat.run(f"messages.delete({at}, 1)")
    assert [message["id"] for message in chat.said()["messages"]] == [uuid(2)]


def test_a_message_sent_again_is_refused_quietly(chat: Chat) -> None:
    chat.run(new(1))
    (again,) = chat.judge(new(1, body="'again'"))
    assert [refusal.kind for refusal in again.refusals] == [Kind.DUPLICATE]
    assert again.news == ()
    (twice,) = chat.judge(new(2) + ";" + new(2, body="'twice'"), is_merged=True)
    assert [refusal.kind for refusal in twice.refusals] == [Kind.DUPLICATE]
    assert seen(list(twice.news)) == [("Sent", uuid(2))]
    messages = chat.said()["messages"]
    assert [message["body"] for message in messages] == ["body 1", "body 2"]


def test_a_message_sent_again_field_by_field_goes_as_soon_as_that_shows(chat: Chat) -> None:
    chat.run(new(1))
    chat.run("messages.push([map({sender_id: 7, body: 'again'})])")
    (judgement,) = chat.judge(f"messages.get(1).set('id', '{uuid(1)}')")
    assert [refusal.kind for refusal in judgement.refusals] == [Kind.DUPLICATE]
    assert [message["body"] for message in chat.said()["messages"]] == ["body 1"]


def test_what_the_server_appended_for_a_user_is_the_users_own(chat: Chat) -> None:
    fields = {"id": uuid(1), "sender_id": ALICE, "body": "through JSON", "seq": 1}
    server = chat.server
    chat.alice.apply(server.write(append_message(server.thread, server.at, fields)))
    assert seen(chat.run(change(1, body="'edited in Yjs'"))) == [("Edited", uuid(1))]
    assert kinds(chat.judge(new(1))) == [Kind.DUPLICATE]


def test_another_user_may_use_the_same_id(chat: Chat) -> None:
    chat.run(new(1))
    (update,) = chat.bob.run(new(1, sender_id="8"))
    assert chat.server.receive(update, BOB).refusals == ()
    assert len(chat.said()["messages"]) == 2


def test_of_a_new_message_an_optional_field_may_go_alone(chat: Chat) -> None:
    wrong = {"seq": "5", "role": "'admin'", "mentions": "['x']", "sent_at": "'now'", "deleted": "false"}
    (judgement,) = chat.judge(new(1, **wrong))
    assert [refusal.kind for refusal in judgement.refusals] == [
        Kind.SERVER_ONLY, Kind.UNKNOWN, Kind.WRONG_TYPE, Kind.WRONG_TYPE, Kind.WRONG_TYPE
    ]  # fmt: skip
    assert seen(list(judgement.news)) == [("Sent", uuid(1))]
    assert chat.said()["messages"] == [{"id": uuid(1), "sender_id": ALICE, "body": "body 1"}]


def test_a_message_sent_and_taken_back_before_anybody_saw_it_was_never_there(chat: Chat) -> None:
    for gc in (True, False):
        writer = chat.alice if gc else other_tab(chat)
        updates = writer.run(new(1) + "; messages.delete(messages.length - 1, 1)", is_merged=True)
        judgement = chat.server.receive(updates[0], ALICE)
        assert (judgement.correction, judgement.refusals, judgement.news) == (None, (), ())
        assert b"body 1" not in (judgement.accepted or b"")
    assert chat.said()["messages"] == []


def other_tab(chat: Chat) -> YjsReplica:
    """Of Alice's, in which nothing deleted is forgotten."""
    chat.server.users[1001] = ALICE
    return chat.alice.beside("tab", 1001, gc=False)


def test_what_a_user_brings_of_another_counts_as_the_others(chat: Chat) -> None:
    """After a crash the first to come back may hold what nobody else has yet."""
    (update,) = chat.bob.run(new(1, sender_id="8"))
    chat.alice.apply(update)
    judgement = chat.server.receive(chat.alice.encode(), ALICE, relayable={BOB_CLIENT})
    assert judgement.refusals == ()
    assert seen(list(judgement.news)) == [("Sent", uuid(1))]


def test_a_body_of_just_its_limit_is_taken(chat: Chat) -> None:
    chat.run(new(1, body="'x'.repeat(16384)"))
    chat.run(change(1, body="'é'.repeat(8192)"))
    assert kinds(chat.judge(change(1, body="'é'.repeat(8193)"))) == [Kind.TOO_LARGE]
    assert chat.said()["messages"][0]["body"] == "é" * 8192
