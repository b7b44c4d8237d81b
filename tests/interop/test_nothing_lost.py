"""Whoever gets a document from the server sees what those see who were there: stock Yjs on random documents.

In a session three authors edit at once, and each of those who come afterwards gets the document in a way of
its own. What is compared is what stock Yjs shows, the order of keys included; in the end everybody edits again.
"""

from collections.abc import Iterator
from random import Random

import pytest

from server.engine.document import Document, MustRebuild
from server.protocol.merge_updates import merge_updates
from server.protocol.split_update import split_ready
from server.protocol.update_shape import check_update
from tests.interop.yjs_oracle.oracle import Oracle

EVERYTHING = ("text", "map", "array", "xml", "subdocuments", "odd values")
AUTHORS = (0, 1, 2)
NEWCOMER, RETURNING, AFTER_RESTART, BY_MERGED_LOG, LAST = OTHERS = (3, 4, 5, 6, 7)
EVERYBODY = (*AUTHORS, *OTHERS)


@pytest.fixture(scope="module")
def yjs() -> Iterator[Oracle]:
    with Oracle() as oracle:
        yield oracle


def client_ids(random: Random) -> list[int]:
    """Short, 32-bit and 53-bit ones."""
    ids: set[int] = set()
    while len(ids) < len(EVERYBODY):
        ids.add(random.randrange(1, random.choice([300, 2**32, 2**53])))
    return random.sample(sorted(ids), len(ids))


class Server:
    """What a room does. `log`: what was integrated, as it came."""

    def __init__(self) -> None:
        self.document = Document()
        self.log: list[bytes] = []
        self._waiting: bytes | None = None

    @property
    def is_waiting(self) -> bool:
        return self._waiting is not None

    def receive(self, update: bytes) -> bytes | None:
        """Returns what goes to the others."""
        waiting = [self._waiting] if self._waiting is not None else []
        ready, self._waiting = split_ready(merge_updates([*waiting, update]), self.document.contents.state)
        if ready is None:
            return None
        shape = check_update(ready)
        try:
            self.document.apply(ready, shape)
        except MustRebuild as error:
            self.document = Document.load(self.log, error.guard)
            self.document.apply(ready, shape)
        self.log.append(ready)
        return ready

    def restart(self, snapshot_at: int) -> None:
        """Make a snapshot of the log's first rows as of a document of their own, and load it with the others."""
        snapshot = Document.load(self.log[:snapshot_at]).encode_since(b"\0")
        check_update(snapshot)
        self.log = [snapshot, *self.log[snapshot_at:]]
        self.document = Document.load(self.log)


class Session:
    """A server and everybody around it; messages are late, but never out of order."""

    def __init__(self, yjs: Oracle, seed: int) -> None:
        self.yjs = yjs
        self.random = Random(seed)
        self.server = Server()
        self.present = set(AUTHORS)
        self._outboxes: list[list[bytes]] = [[] for _ in EVERYBODY]
        self._inboxes: list[list[bytes]] = [[] for _ in EVERYBODY]
        yjs.open(seed, client_ids(self.random), self.random.choice(["safe", "split"]), EVERYTHING)

    def live(self) -> None:
        """The one who returns has left early on, and may have edited on their own since."""
        steps = self.random.randrange(6, 20)
        leaving_at = self.random.randrange(steps)
        for step in range(steps):
            self.edit(self.random.choice(AUTHORS))
            self.send(self.random.choice(AUTHORS), self.random.randrange(4))
            self.hear(self.random.choice(AUTHORS), self.random.randrange(6))
            if step == leaving_at:
                self.yjs.apply(RETURNING, [self.yjs.encode(self.random.choice(AUTHORS))])
        self.settle()
        if self.random.random() < 0.5:
            self.edit(RETURNING)

    def edit(self, client: int) -> None:
        self._outboxes[client] += self.yjs.edit(client, self.random.randrange(1, 4))

    def send(self, client: int, count: int) -> None:
        updates, self._outboxes[client] = self._outboxes[client][:count], self._outboxes[client][count:]
        for update in updates:
            ready = self.server.receive(update)
            if ready is not None:
                for other in self.present - {client}:
                    self._inboxes[other].append(ready)

    def hear(self, client: int, count: int) -> None:
        updates, self._inboxes[client] = self._inboxes[client][:count], self._inboxes[client][count:]
        self._outboxes[client] += self.yjs.apply(client, updates)

    def settle(self) -> None:
        """Until everybody who is present has heard everything."""
        while any(self._outboxes[client] or self._inboxes[client] for client in self.present):
            for client in self.present:
                self.send(client, len(self._outboxes[client]))
                self.hear(client, len(self._inboxes[client]))
        assert not self.server.is_waiting

    def join(self, client: int, update: bytes) -> None:
        """The client gets the update and sends what the server lacks, like any that connects."""
        check_update(update)
        self.yjs.apply(client, [update])
        self._outboxes[client] = [self.yjs.encode(client, self.server.document.state_vector())]
        self.present.add(client)

    def assert_all_see_the_same(self, *clients: int) -> None:
        seen = self.yjs.exact(AUTHORS[0])
        for client in (*AUTHORS, *clients):
            assert self.yjs.exact(client) == seen, f"client {client}"


@pytest.mark.parametrize("seeds", [range(start, start + 20) for start in range(0, 140, 20)], ids=str)
def test_who_joins_in_any_way_sees_what_those_see_who_were_there(yjs: Oracle, seeds: range) -> None:
    for seed in seeds:
        try:
            play(Session(yjs, seed))
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


def play(session: Session) -> None:
    session.live()
    session.assert_all_see_the_same()
    for client in session.random.sample([NEWCOMER, RETURNING, AFTER_RESTART, BY_MERGED_LOG], 4):
        session.join(client, way_in(session, client))
        if client != RETURNING:  # who alone knows yet what it wrote on its own
            session.assert_all_see_the_same(client)
    session.settle()
    session.assert_all_see_the_same(*session.present)

    for client in session.present:
        session.edit(client)
    session.settle()
    session.join(LAST, session.server.document.encode_since(b"\0"))
    session.assert_all_see_the_same(*session.present)


def way_in(session: Session, client: int) -> bytes:
    """An update with all that the client lacks."""
    server = session.server
    if client == BY_MERGED_LOG:
        return merge_updates(server.log)
    if client == RETURNING:
        return server.document.encode_since(session.yjs.state(client))
    if client == AFTER_RESTART:
        server.restart(session.random.randrange(len(server.log) + 1))
    return server.document.encode_since(b"\0")
