"""Honest users and one who is not, on stock Yjs and on pycrdt, all at once, hearing of each other late."""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

import pytest
from pycrdt import Map

from server.chat.judgement import Edited, Kind, Sent
from server.chat.thread import Thread
from server.chat.writing import Receipt, set_fields, set_receipts
from tests.chat.chat_server import ChatServer, assert_equal, exchange
from tests.chat.pycrdt_replica import PycrdtReplica
from tests.chat.yjs import Yjs, YjsReplica

ALICE, CAROL, MALLORY = 7, 9, 66
EVIL = "EVIL"


class Client:
    """A replica, its queue to the server and the one back, and what its user does with it."""

    def __init__(self, user_id: int, random: Random) -> None:
        self.user_id = user_id
        self.random = random
        self.outbox: deque[bytes] = deque()
        self.inbox: deque[bytes | None] = deque()
        self.bodies: dict[str, set[str]] = {}
        """What was ever said, by message id."""

    def send(self) -> None:
        message_id = str(UUID(int=self.random.getrandbits(128), version=4))
        self.bodies[message_id] = {f"message {len(self.bodies)}"}
        self.push({"id": message_id, "sender_id": self.user_id, "body": f"message {len(self.bodies) - 1}"})

    def act(self) -> None:
        mine = sorted(self.bodies)
        kind = self.random.random()
        if kind < 0.4 or not mine:
            self.send()
        elif kind < 0.6:
            message_id, body = self.random.choice(mine), f"edit {self.random.getrandbits(30)}"
            if self.set(message_id, "body", body):
                self.bodies[message_id].add(body)
        elif kind < 0.7:
            self.set(self.random.choice(mine), "mentions", [ALICE])
        else:
            emoji = self.random.choice("👍x")
            key = f"{self.random.choice(mine)}:{self.user_id}:{emoji}"
            self.react(key, is_set=self.random.random() < 0.6)

    def push(self, fields: dict[str, Any]) -> None:
        raise NotImplementedError

    def set(self, message_id: str, key: str, value: object) -> bool:
        raise NotImplementedError

    def react(self, key: str, *, is_set: bool) -> None:
        raise NotImplementedError

    def do_wrong(self) -> None:
        raise NotImplementedError


class YjsClient(Client):
    def __init__(self, user_id: int, random: Random, replica: YjsReplica) -> None:
        super().__init__(user_id, random)
        self.replica = replica

    def _run(self, code: str, *, is_merged: bool = False) -> bool:
        updates = self.replica.run(code, is_merged=is_merged)
        self.outbox += updates
        return bool(updates)

    def push(self, fields: dict[str, Any]) -> None:
        at = self.random.choice(["0", "messages.length", "messages.length", "messages.length >> 1"])
        self._run(f"messages.insert({at}, [map({fields})])")

    def set(self, message_id: str, key: str, value: object) -> bool:
        return self._run(f"find('{message_id}', {self.user_id})?.set('{key}', {value!r})")

    def react(self, key: str, *, is_set: bool) -> None:
        self._run(f"reactions.set('{key}', true)" if is_set else f"reactions.delete('{key}')")

    def do_wrong(self) -> None:
        wrong = [
            "if (any) any.set('body', 'EVIL')",
            "if (any) any.set('seq', 'EVIL')",
            "if (any) any.set('body', new Y.Text('EVIL'))",
            "if (any) any.delete('body')",
            "if (any) any.clear()",
            "if (messages.length) messages.delete(at, 1)",
            "if (messages.length > 1) messages.delete(at >> 1, 2)",
            "messages.insert(at, ['EVIL', 'EVIL', 2])",
            f"messages.insert(at, [map({{id: 'EVIL', sender_id: {ALICE}, body: 'EVIL'}})])",
            f"if (any) messages.insert(at, [map({{id: any.get('id') ?? '', sender_id: {MALLORY}, body: 'copied'}})])",
            "reactions.forEach((_, key) => reactions.delete(key))",
            "reactions.forEach((_, key) => reactions.set(key, 'EVIL'))",
            "receipts.set('7', 'EVIL')",
            "receipts.clear()",
            "doc.getMap('EVIL').set('a', 'EVIL')",
        ]
        seed = self.random.random()
        head = f"const at = Math.floor({seed} * messages.length), held = messages.get(at);"
        head += " const any = held instanceof Y.Map ? held : null;"
        done = self.random.choices(wrong, k=self.random.randrange(1, 4))
        code = " ".join(f"{{ {head} {step} }}" for step in done)
        self._run(code, is_merged=self.random.random() < 0.5)


class PycrdtClient(Client):
    def __init__(self, user_id: int, random: Random, replica: PycrdtReplica) -> None:
        super().__init__(user_id, random)
        self.replica = replica

    def _did(self) -> bool:
        sent = self.replica.sent()
        self.outbox += sent
        return bool(sent)

    def push(self, fields: dict[str, Any]) -> None:
        messages = self.replica.messages
        messages.insert(self.random.choice([0, len(messages), len(messages)]), Map(fields))
        self._did()

    def set(self, message_id: str, key: str, value: object) -> bool:
        message = self.replica.find(message_id, self.user_id)
        if message is not None:
            message[key] = value
        return self._did()

    def react(self, key: str, *, is_set: bool) -> None:
        if is_set:
            self.replica.reactions[key] = True
        elif key in self.replica.reactions:
            del self.replica.reactions[key]
        self._did()

    def do_wrong(self) -> None:
        replica, count = self.replica, len(self.replica.messages)
        message = replica.messages[self.random.randrange(count)] if count else None
        kind = self.random.randrange(6)
        if kind == 0 and count:
            del replica.messages[self.random.randrange(count)]
        elif kind == 1 and isinstance(message, Map) and "body" in message:
            del message["body"]
        elif kind == 2 and isinstance(message, Map):
            message["body"] = EVIL
        elif kind == 3:
            replica.receipts["7"] = EVIL
        elif kind == 4:
            replica.messages.insert(0, Map({"id": EVIL, "body": EVIL, "sender_id": ALICE}))
        else:
            for key in list(replica.reactions):
                del replica.reactions[key]
        self._did()


class World:
    def __init__(self, yjs: Yjs, seed: int) -> None:
        self.random = random = Random(seed)
        ids = random.sample([*range(10, 300), *(random.randrange(2**32) for _ in range(90))], 5)
        users = [ALICE, ALICE, CAROL, MALLORY, MALLORY]
        self.server = ChatServer(dict(zip(ids, users, strict=True)))
        make: list[Callable[[int, int], Client]] = [
            lambda user, client: YjsClient(user, random, yjs.replica(str(client), client)),
            lambda user, client: PycrdtClient(user, random, PycrdtReplica(client)),
        ]
        self.clients = [make[place % 2](*who) for place, who in enumerate(zip(users, ids, strict=True))]
        self.numbers: dict[tuple[int, str], int] = {}
        self.receipts: dict[int, Receipt] = {}

    def tell_all(self, *updates: bytes | None) -> None:
        for client in self.clients:
            client.inbox.extend(updates)

    def receive(self, client: Any, update: bytes) -> None:
        judgement = self.server.receive(update, client.user_id)
        if client.user_id != MALLORY:
            assert [refusal for refusal in judgement.refusals if refusal.kind != Kind.GONE] == []
        self.tell_all(judgement.accepted, judgement.correction)
        new = [news.message for news in judgement.news if isinstance(news, Sent)]
        if new:
            numbers = {
                (message.sender_id, message.message_id): len(self.numbers) + at
                for at, message in enumerate(new, 1)
            }
            self.numbers |= numbers
            changes = [
                (message.item, {"seq": numbers[message.sender_id, message.message_id]}) for message in new
            ]
            self.tell_all(self.server.write(set_fields(self.server.thread, self.server.at, changes)))

    def step(self) -> None:
        client: Any = self.random.choice(self.clients)
        kind = self.random.random()
        if kind < 0.35:
            is_wrong = client.user_id == MALLORY and self.random.random() < 0.7
            client.do_wrong() if is_wrong else client.act()
        elif kind < 0.65 and client.outbox:
            self.receive(client, client.outbox.popleft())
        elif kind < 0.9 and client.inbox:
            for _ in range(self.random.randrange(1, len(client.inbox) + 1)):
                client.replica.apply(client.inbox.popleft())
        elif kind < 0.95:  # it was away: both sides make up for what they missed
            client.outbox.clear()
            client.inbox.clear()
            self.receive(client, client.replica.encode(self.server.state()))
            client.inbox.clear()
            client.replica.apply(self.server.answer(client.replica.state()))
        else:
            before = self.receipts.get(client.user_id)
            read_seq = max(
                0 if before is None else before.read_seq, self.random.randrange(len(self.numbers) + 1)
            )
            receipt = self.receipts[client.user_id] = Receipt(len(self.numbers), read_seq)
            written = set_receipts(self.server.thread, self.server.at, {client.user_id: receipt})
            assert (written is None) == (receipt == before)
            if written is not None:
                self.tell_all(self.server.write(written))

    def end(self) -> dict[str, Any]:
        for client in self.clients:
            while client.outbox:
                self.receive(client, client.outbox.popleft())
        replicas = [client.replica for client in self.clients]  # type: ignore[attr-defined]
        for client, replica in (*zip(self.clients, replicas, strict=True),) * 2:
            while client.inbox:
                replica.apply(client.inbox.popleft())
            exchange(self.server, replica, client.user_id)
        for client, replica in zip(self.clients, replicas, strict=True):
            assert exchange(self.server, replica, client.user_id).refusals == ()
        return assert_equal(self.server, *replicas)


@pytest.mark.parametrize("seed", range(40))
def test_all_agree_and_nothing_honest_is_lost(yjs: Yjs, seed: int) -> None:
    world = World(yjs, seed)
    for _ in range(120):
        world.step()
    said = world.end()

    assert said["receipts"] == {str(user): receipt._asdict() for user, receipt in world.receipts.items()}
    messages = {
        (message["sender_id"], message["id"]): message
        for message in said["messages"]
        if {"id", "sender_id", "body"} <= message.keys()
    }
    assert {key: message["seq"] for key, message in messages.items()} == world.numbers
    assert EVIL not in str([message for (sender, _), message in messages.items() if sender != MALLORY])
    for client in world.clients:
        for message_id, bodies in client.bodies.items():
            if client.user_id != MALLORY:
                assert messages[client.user_id, message_id]["body"] in bodies


def test_a_thread_loaded_from_the_log_is_the_one_that_wrote_it(yjs: Yjs) -> None:
    world = World(yjs, 1000)
    for _ in range(150):
        world.step()
    world.end()
    loaded = Thread()
    for update in world.server.log:
        loaded.take_in(update)
    assert loaded.state == world.server.thread.state
    assert loaded.deleted == world.server.thread.deleted
    assert list(loaded.all_messages()) == list(world.server.thread.all_messages())
    assert sorted(loaded.all_reactions()) == sorted(world.server.thread.all_reactions())
    assert any(isinstance(news, Edited) for news in world.server.news)
