"""What `server.protocol` does to the bytes of updates, compared with stock Yjs on random documents."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from pycrdt import Doc, Text

from server.protocol.merge_updates import diff_update, merge_updates, state_vector_of
from server.protocol.split_update import split_ready
from server.protocol.structs import in_order, read_structs, write_update
from server.protocol.surrogates import SurrogateGuard
from server.protocol.update_shape import check_update
from tests.interop.yjs_oracle.oracle import Oracle

HAS_KEY = 0x20
EVERYTHING = ("text", "map", "array", "xml")


@pytest.fixture(scope="module")
def yjs() -> Iterator[Oracle]:
    with Oracle() as oracle:
        yield oracle


def client_ids(random: Random, count: int) -> list[int]:
    """Short, 32-bit and 53-bit ones."""
    ids: set[int] = set()
    while len(ids) < count:
        ids.add(random.randrange(1, random.choice([300, 2**32, 2**53])))
    return random.sample(sorted(ids), count)


# Merging, cutting, splitting


def history(yjs: Oracle, random: Random, seed: int) -> tuple[list[bytes], list[bytes]]:
    """Three authors who hear of each other late: (every update, the state of each author in the end).

    None is 'wild': what such an author says of the same clocks differs, and either may be taken.
    """
    mode = random.choice(["safe", "split"])
    yjs.open(seed, client_ids(random, 3), mode, (*EVERYTHING, "subdocuments"))
    sent: list[bytes] = []
    inboxes: list[list[bytes]] = [[], [], []]
    for _ in range(20):
        author, reader = random.randrange(3), random.randrange(3)
        new = yjs.edit(author, random.randrange(1, 4))
        count = random.randrange(len(inboxes[reader]) + 1)
        own = yjs.apply(reader, inboxes[reader][:count])
        del inboxes[reader][:count]
        for writer, updates in ((author, new), (reader, own)):
            sent += updates
            for other in {0, 1, 2} - {writer}:
                inboxes[other] += updates
    return sent, [yjs.encode(author) for author in range(3)]


def without_unread_keys(update: bytes) -> bytes:
    """Yjs clears a flag that says nothing in a struct with origins; we leave each struct as it is."""
    data = bytearray(update)
    for struct in read_structs(update)[0]:
        if struct.origin or struct.right_origin:
            data[struct.start] &= ~HAS_KEY
    return bytes(data)


@pytest.mark.parametrize("seed", range(40))
def test_updates_are_merged_and_cut_as_yjs_does(yjs: Oracle, seed: int) -> None:
    random = Random(seed)
    sent, states = history(yjs, random, seed)
    for update in (*sent, *states):
        check_update(update)
        structs, deletes = read_structs(update)
        assert write_update(in_order(structs), deletes) == update

    merged = merge_updates(sent)
    read, one_by_one = yjs.read([merged]), yjs.read(sent)
    assert read == yjs.read([yjs.merge(sent)])
    assert read["contents"] == one_by_one["contents"]  # on the way Yjs may have deleted superfluous formats
    assert read["ids"]["state"] == one_by_one["ids"]["state"]
    assert state_vector_of(merged) == yjs.state_of(merged) == dict(map(tuple, read["ids"]["state"]))

    some = [*random.sample(sent, len(sent) // 2), random.choice(states)]
    merged_some = merge_updates(some)
    assert yjs.read([merged_some]) == yjs.read([yjs.merge(some)])

    for base in (merged, merged_some, *states):
        total = state_vector_of(base)
        known = {
            client: random.randrange(clock + 1) for client, clock in total.items() if random.random() < 0.8
        }
        diff = diff_update(base, known)
        assert without_unread_keys(diff) == without_unread_keys(yjs.diff(base, known))


@pytest.mark.parametrize("seed", range(100, 140))
def test_yjs_integrates_what_is_ready_and_nothing_of_the_rest(yjs: Oracle, seed: int) -> None:
    random = Random(seed)
    sent, _ = history(yjs, random, seed)
    random.shuffle(sent)
    applied: list[bytes] = []
    known: dict[int, int] = {}
    waiting: bytes | None = None
    while sent:
        batch, sent = sent[:9], sent[9:]
        ready, waiting = split_ready(merge_updates([*([waiting] if waiting else []), *batch]), known)
        if ready is not None:
            applied.append(ready)
            for struct in read_structs(ready)[0]:
                known[struct.client] = struct.clock + struct.length
        read = yjs.read(applied)
        assert not read["isPending"]
        assert dict(map(tuple, read["ids"]["state"])) == known
        if waiting is not None:
            read = yjs.read([*applied, waiting])
            assert read["isPending"]
            assert dict(map(tuple, read["ids"]["state"])) == known
    assert waiting is None


# Surrogate pairs


class GuardedEngine:
    """What a room does: the engine gets the ready part of each update, rewritten; the raw parts are kept."""

    def __init__(self) -> None:
        self.doc: Doc[Any] = Doc()
        self.guard = SurrogateGuard()
        self.kept: list[bytes] = []
        self.rebuilt = 0
        self._known: dict[int, int] = {}
        self._waiting: list[bytes] = []

    def receive(self, update: bytes) -> bytes | None:
        """Returns what goes to the others."""
        check_update(update)
        ready, waiting = split_ready(merge_updates([*self._waiting, update]), self._known)
        self._waiting = [waiting] if waiting is not None else []
        if ready is None:
            return None
        for struct in read_structs(ready)[0]:
            self._known[struct.client] = struct.clock + struct.length
        self.kept.append(ready)
        if self.guard.admit(ready):
            self.rebuilt += 1
            self.doc = Doc()
            for kept in self.kept:
                self.doc.apply_update(self.guard.rewrite(kept))
        else:
            self.doc.apply_update(self.guard.rewrite(ready))
        return ready

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    @property
    def text(self) -> str:
        runs = self.doc.get("text", type=Text).diff()
        return "".join(run for run, _ in runs if isinstance(run, str))


class Room:
    """Yjs clients around a `GuardedEngine`; the last client only watches, and hears everything at once."""

    def __init__(self, yjs: Oracle, seed: int, mode: str, roots: Sequence[str]) -> None:
        self.yjs = yjs
        self.random = Random(seed)
        self.engine = GuardedEngine()
        self.clients = self.random.randrange(3, 5)
        self.watcher = self.clients - 1
        self.outboxes: list[list[bytes]] = [[] for _ in range(self.clients)]
        self.inboxes: list[list[bytes]] = [[] for _ in range(self.clients)]
        self.echoes = self.random.random() < 0.5
        yjs.open(seed, client_ids(self.random, self.clients), mode, roots)

    def live(self) -> None:
        for _ in range(self.random.randrange(4, 30)):
            author, sender, reader = (self.random.randrange(self.watcher) for _ in range(3))
            self.outboxes[author] += self.yjs.edit(author, self.random.randrange(1, 4))
            if self.random.random() < 0.6:
                self.push(sender, self.random.randrange(1, 5))
            chance = self.random.random()
            if chance < 0.5:
                self.pull(reader, self.random.randrange(1, 6))
            elif chance < 0.6:
                self.reconnect(reader)
        while any(self.outboxes) or any(self.inboxes):
            for client in range(self.clients):
                self.push(client, len(self.outboxes[client]))
                self.pull(client, len(self.inboxes[client]))

    def push(self, sender: int, count: int) -> None:
        updates, self.outboxes[sender] = self.outboxes[sender][:count], self.outboxes[sender][count:]
        for update in updates:
            ready = self.engine.receive(update)
            for client in range(self.clients):
                if ready is not None and (client != sender or self.echoes):
                    self.inboxes[client].append(ready)
        self.pull(self.watcher, len(self.inboxes[self.watcher]))

    def pull(self, reader: int, count: int) -> None:
        updates, self.inboxes[reader] = self.inboxes[reader][:count], self.inboxes[reader][count:]
        self.outboxes[reader] += self.yjs.apply(reader, updates)

    def reconnect(self, client: int) -> None:
        self.inboxes[client].clear()
        self.yjs.apply(client, [self.engine.doc.get_update(self.yjs.state(client))])
        self.outboxes[client] = [self.yjs.encode(client, self.engine.doc.get_state())]

    def assert_engine_is_equal(self) -> Any:
        """The engine shows what the watcher shows, and so does whoever joins through the engine."""
        assert not self.engine.is_waiting
        contents = self.yjs.contents(self.watcher)
        runs = (run["insert"] for run in contents["text"])
        assert self.engine.text == "".join(run for run in runs if isinstance(run, str))
        newcomer = self.yjs.read([self.engine.doc.get_update()])
        assert newcomer["contents"] == contents
        assert not newcomer["isPending"]
        return contents


@pytest.mark.parametrize("roots", [("text",), EVERYTHING], ids=["text", "everything"])
@pytest.mark.parametrize("mode", ["safe", "split"])
def test_the_engine_and_every_client_agree(yjs: Oracle, mode: str, roots: Sequence[str]) -> None:
    rebuilt = 0
    for seed in range(60):
        room = Room(yjs, seed, mode, roots)
        room.live()
        contents = room.assert_engine_is_equal()
        for client in range(room.clients):
            assert yjs.contents(client) == contents, f"seed {seed}"
        rebuilt += room.engine.rebuilt
    assert (rebuilt > 0) == (mode == "split")


def test_the_engine_agrees_even_where_yjs_does_not_with_itself(yjs: Oracle) -> None:
    for seed in range(60):
        room = Room(yjs, seed, "wild", EVERYTHING)
        room.live()
        room.assert_engine_is_equal()


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([("insert", 4, "x")], "hi \ufffdx\ufffd!"),
        ([("delete", 4, 1)], "hi \ufffd!"),
        ([("delete", 3, 1)], "hi \ufffd!"),
        ([("delete", 1, 3)], "h\ufffd!"),
        ([("delete", 4, 2)], "hi \ufffd"),
        ([("delete", 3, 2)], "hi !"),
        ([("format", 0, 4, {"bold": True})], "hi \ufffd\ufffd!"),
        ([("format", 4, 2, {"bold": True})], "hi \ufffd\ufffd!"),
        ([("insertEmbed", 4, {"a": 1})], "hi \ufffd\ufffd!"),
        ([("insert", 4, "x"), ("undo",)], "hi \ufffd\ufffd!"),
        ([("delete", 4, 1), ("undo",)], "hi \ufffd\ufffd!"),
        ([("delete", 3, 2), ("undo",)], "hi 😀!"),
        ([("delete", 4, 1), ("insert", 4, "\ude01")], "hi \ufffd\ufffd!"),
    ],
    ids=str,
)
def test_each_way_to_cut_a_pair(yjs: Oracle, edits: list[tuple[Any, ...]], expected: str) -> None:
    _, first = yjs.write(1, [], ("insert", 0, "hi 😀!"))
    text, sent = yjs.write(2, first, *edits)
    assert text == expected
    engine = GuardedEngine()
    for update in (*first, *sent):
        engine.receive(update)
    assert engine.text == expected
    newcomer = yjs.read([engine.doc.get_update()])["contents"]["text"]
    assert newcomer == yjs.read([*first, *sent])["contents"]["text"]


def test_an_author_who_types_halves_may_send_them_joined(yjs: Oracle) -> None:
    """The first half reached the engine alone; then the author returns and sends the whole string."""
    text, sent = yjs.write(1, [], ("insert", 0, "a\ud83d"), ("insert", 2, "\ude00b"))
    assert text == "a😀b"
    _, joined = yjs.write(1, [], ("insert", 0, "a😀b"))
    for update in (sent[1], *joined):
        engine = GuardedEngine()
        engine.receive(sent[0])
        engine.receive(update)
        assert engine.text == "a\ufffd\ufffdb"
        assert yjs.read([engine.doc.get_update()])["contents"] == yjs.read([sent[0], update])["contents"]
