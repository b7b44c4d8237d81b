"""Updates of valid documents, in whatever order they may reach a room.

    python -m tests.fuzz.deliveries --documents 100000 [--yjs]

Counts what is refused: nothing may be.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from random import Random

from server.protocol.contents import Contents
from server.protocol.merge_updates import merge_updates
from server.protocol.placement import Placement
from server.protocol.update_shape import check_update
from server.rooms.gate import judge
from tests.fuzz.documents import Editor, Session
from tests.fuzz.room_model import nobody
from tests.interop.yjs_oracle.oracle import Oracle


class Places:
    """A room's gate and placement, without its engine."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.log: list[bytes] = []
        self._contents = Contents()
        self._placement = Placement()

    def receive(self, updates: Iterable[bytes]) -> None:
        """Take in each update, and once more whatever had to wait. Raises MalformedUpdate."""
        for update in updates:
            held, self.held = self.held, []
            for waiting in (update, *held):
                self._receive(waiting)
        while self.held:
            held, self.held = self.held, []
            for waiting in held:
                self._receive(waiting)
            if self.held == held:
                return

    def _receive(self, update: bytes) -> None:
        contents = self._contents
        verdict = judge(update, contents, nobody, user_id=1, is_reply=True)
        if verdict.rest is not None:
            self.held.append(verdict.rest)
        if verdict.ready is not None and verdict.shape is not None and contents.adds(verdict.shape):
            self._placement.admit(verdict.ready, verdict.shape, contents.state)
            contents.advance(verdict.shape)
            self.log.append(verdict.ready)

    def reopen(self) -> None:
        """What opening the document does with its log. Raises MalformedUpdate."""
        merged = merge_updates(self.log)
        Placement().admit(merged, check_update(merged), {})


def pycrdt_document(seed: object) -> list[bytes]:
    """All updates of three authors, some of them twice within states, diffs and merges; in random order."""
    rng = Editor(str(seed))
    session = Session.start(rng)
    exports: list[bytes] = []
    for _ in range(rng.randrange(3, 30)):
        session.edit()
        session.exchange()
        if rng.random() < 0.1:
            exports += session.exports()
    return shuffled(rng, [update for replica in session.replicas for update in replica.sent], exports)


def yjs_document(yjs: Oracle, seed: object) -> list[bytes]:
    """The same of Yjs."""
    rng = Random(str(seed))
    ids = rng.sample([1, 5, 127, 128, 2**31 - 1, 2**32 + 5, 2**53 - 1], 3)
    roots = ("text", "map", "array", "xml", "subdocuments")
    yjs.open(rng.randrange(2**31), ids, rng.choice(["safe", "split", "wild"]), roots)
    sent: list[bytes] = []
    states: list[bytes] = []
    for _ in range(rng.randrange(3, 15)):
        author = rng.randrange(3)
        sent += yjs.edit(author, rng.randrange(1, 4))
        sent += yjs.apply(author, rng.sample(sent, rng.randrange(len(sent) + 1)))
        if rng.random() < 0.2:
            states.append(yjs.encode(rng.randrange(3)))
    return shuffled(rng, sent, states)


def shuffled(rng: Random, sent: list[bytes], exports: list[bytes]) -> list[bytes]:
    """All that was sent, in order or not; exports before, between or after."""
    if rng.random() < 0.5:
        rng.shuffle(sent)
    for export in exports:
        sent.insert(rng.randint(0, len(sent)), export)
    return sent


def documents(count: int, start: int = 0) -> Iterator[list[bytes]]:
    """Seeded documents of pycrdt."""
    for seed in range(start, start + count):
        yield pycrdt_document(seed)


def yjs_documents(count: int, start: int = 0) -> Iterator[list[bytes]]:
    """Seeded documents of Yjs, in a Node process."""
    with Oracle() as yjs:
        for seed in range(start, start + count):
            yield yjs_document(yjs, seed)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--yjs", action="store_true")
    options = parser.parse_args()
    source = yjs_documents if options.yjs else documents
    updates = 0
    for updates_of_one in source(options.documents, options.start):
        places = Places()
        places.receive(updates_of_one)
        assert not places.held
        places.reopen()
        updates += len(updates_of_one)
    print(f"{options.documents} documents, {updates} updates, 0 refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
