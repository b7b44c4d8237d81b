"""All that ever was in a document, where it stood, who wrote it, and who deleted it.

A replica of which nothing is forgotten: every moment is a choice of what of it is shown.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from server.history.changes import Changes
from server.protocol.id_set import IdSet
from server.protocol.split_update import split_ready
from server.protocol.structs import STRING, Struct
from server.protocol.varint import read_buf
from server.replica.nodes import Branch, Chain, Node
from server.replica.replica import Placed, Replica


class Counts(NamedTuple):
    """What is made of a document: the changes that count. Both are asked with the number of a change.

    `inserts` is asked with the client id of what was inserted too.
    """

    inserts: Callable[[int, int], bool]
    deletes: Callable[[int], bool]

    @classmethod
    def until(cls, moment: int) -> "Counts":
        """The first `moment` changes."""
        return cls(lambda number, _: number < moment, lambda number: number < moment)


class _Runs:
    """Per client: from which clock on what was brought by which change."""

    def __init__(self) -> None:
        self.clocks: list[int] = []
        self.numbers: list[int] = []

    def add(self, clock: int, number: int) -> None:
        if not self.numbers or self.numbers[-1] != number:
            self.clocks.append(clock)
            self.numbers.append(number)

    def of(self, clock: int) -> tuple[int, int | None]:
        """(number of the change, clock at which the next one begins)."""
        index = bisect_right(self.clocks, clock)
        return self.numbers[index - 1], self.clocks[index] if index < len(self.clocks) else None


class _Spans:
    """Disjoint ranges of one client's clocks, each with the number of the change that came first."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._numbers: list[int] = []

    def add(self, clock: int, end: int, number: int) -> None:
        """Give it what of [clock, end) is free."""
        index = bisect_right(self._starts, clock)
        if index and self._ends[index - 1] > clock:
            clock = self._ends[index - 1]
        while clock < end:
            until = min(end, self._starts[index]) if index < len(self._starts) else end
            if clock < until:
                self._starts.insert(index, clock)
                self._ends.insert(index, until)
                self._numbers.insert(index, number)
                index += 1
            if index >= len(self._starts):
                return
            clock = max(until, self._ends[index])
            index += 1

    def at(self, clock: int) -> int | None:
        index = bisect_right(self._starts, clock) - 1
        return self._numbers[index] if index >= 0 and clock < self._ends[index] else None


class Past(Replica):
    """Of these changes. Takes time by their number, and a few hundred bytes for each."""

    def __init__(self, changes: Changes) -> None:
        super().__init__(())
        self.changes = changes
        self._brought: dict[int, _Runs] = {}
        self._deletions: list[tuple[tuple[int, int, int], int]] = []  # (client, clock, length), number
        self._gone: dict[int, _Spans] = {}
        for number, change in enumerate(changes.all):
            self._take(number, change.data)

    def _take(self, number: int, update: bytes) -> None:
        structs, deletes = self.read(update)
        if not self._fit(structs):
            # It builds on something that was lost, which the document has not got either.
            ready, _ = split_ready(update, self.state)
            structs = [] if ready is None else self.read(ready)[0]
        placed = Placed()
        for struct in structs:
            if isinstance(struct.parent, str) and struct.parent not in self.roots:
                self.roots[struct.parent] = Branch()
            node = self.place(struct, placed)
            self._brought.setdefault(node.client, _Runs()).add(node.clock, number)
            if node.content is None:
                self._note_deleted(number, (node.client, node.clock, node.length))
        for span in deletes:
            self._note_deleted(number, span)

    def _fit(self, structs: Sequence[Struct]) -> bool:
        """Whether each builds on what is there, or comes before it."""
        new: dict[int, int] = {}
        for struct in structs:
            before = struct.client, struct.clock - 1
            for link in (before, struct.origin, struct.right_origin, struct.parent):
                if isinstance(link, tuple) and link[1] >= new.get(link[0], self.state.get(link[0], 0)):
                    return False
            new[struct.client] = struct.clock + struct.length
        return True

    def _note_deleted(self, number: int, span: tuple[int, int, int]) -> None:
        client, clock, length = span
        self._deletions.append((span, number))
        self._gone.setdefault(client, _Spans()).add(clock, clock + length, number)

    def shown(self, counts: Counts) -> IdSet:
        """What was inserted and not deleted, by the changes that count.

        Of a key's values all that nobody deleted are among them, and what is below something deleted.
        """
        inserted = IdSet()
        for client, runs in self._brought.items():
            ends = [*runs.clocks[1:], self.state[client]]
            for clock, end, number in zip(runs.clocks, ends, runs.numbers, strict=True):
                if counts.inserts(number, client):
                    inserted.add(client, clock, end - clock)
        deleted = IdSet(span for span, number in self._deletions if counts.deletes(number))
        shown = inserted.minus(deleted)
        self._cut_at(shown)
        return shown

    def _cut_at(self, shown: IdSet) -> None:
        """Have every node be shown whole, or not at all."""
        for client, clock, length in shown:
            first, last = self.find((client, clock)), self.find((client, clock + length - 1))
            if first.home is not None and first.clock != clock:
                self._split(first, clock - first.clock)
                last = self.find((client, clock + length - 1))
            if last.home is not None and last.last_id[1] != clock + length - 1:
                self._split(last, clock + length - last.clock)

    def brought_by(self, node: Node) -> list[tuple[int, int]]:
        """(number of a change, how many of the node's clocks it brought), in order."""
        runs, clock, end = self._brought[node.client], node.clock, node.clock + node.length
        parts: list[tuple[int, int]] = []
        while clock < end:
            number, until = runs.of(clock)
            until = end if until is None else min(until, end)
            parts.append((number, until - clock))
            clock = until
        return parts

    def deleter_of(self, node: Node) -> int | None:
        """The number of the change that deleted it first, if any."""
        spans = self._gone.get(node.client)
        return None if spans is None else spans.at(node.clock)


def is_shown(node: Node, shown: IdSet) -> bool:
    """Whether the node is, which stands where it is shown."""
    return node.content is not None and shown.contains(node.client, node.clock, node.length)


def winner(chain: Chain, shown: IdSet) -> Node | None:
    """What a key holds: the last that is shown."""
    held = None
    for node in chain:
        if is_shown(node, shown):
            held = node
    return held


def text_of(node: Node) -> str:
    """What a node adds to a text."""
    if node.ref != STRING or node.content is None:
        return ""
    return read_buf(node.content, 0)[0].decode()
