"""Sets of Yjs ids, kept as ranges of clocks for each client: what an update deletes, or what a document
holds.

Wire form (a delete set): varUint clients • clients × (varUint client • varUint ranges • ranges × (varUint
clock • varUint length)). Yjs writes the highest client id first.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping

from server.protocol.varint import read_var_uint, var_uint


class IdSet:
    """Client id -> sorted, disjoint, never touching ranges [start, end) of clocks.

    The starts and the ends of a client's ranges are two parallel lists, so that a look-up is one bisection.
    """

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[tuple[int, int, int]] | None = None) -> None:
        """`ranges`: (client, clock, length) in any order, overlapping or not. O(n log n)."""
        self._ranges: dict[int, tuple[list[int], list[int]]] = {}
        if ranges is not None:
            for client, clock, length in sorted(ranges):
                self.add(client, clock, length)

    def add(self, client: int, clock: int, length: int) -> None:
        """Add [clock, clock + length). O(1) at or after its last range, else O(its ranges)."""
        if length <= 0:
            return
        end = clock + length
        if client not in self._ranges:
            self._ranges[client] = ([clock], [end])
            return
        starts, ends = self._ranges[client]
        if clock > ends[-1]:
            starts.append(clock)
            ends.append(end)
            return
        if clock >= starts[-1]:
            ends[-1] = max(end, ends[-1])
            return
        first = bisect_left(ends, clock)  # ranges first … last-1 overlap or touch the new one
        last = bisect_right(starts, end)
        if first < last:
            clock, end = min(clock, starts[first]), max(end, ends[last - 1])
        starts[first:last] = [clock]
        ends[first:last] = [end]

    def contains(self, client: int, clock: int, length: int = 1) -> bool:
        """Whether all of [clock, clock + length) is in the set. O(log n)."""
        if client not in self._ranges:
            return length <= 0
        starts, ends = self._ranges[client]
        index = bisect_right(starts, clock) - 1
        return length <= 0 or (index >= 0 and clock + length <= ends[index])

    def union(self, *others: "IdSet") -> "IdSet":
        """Every id that is in this set or in one of the others. O(n log n) in ranges."""
        return IdSet(part for ids in (self, *others) for part in ids)

    def minus(self, other: "IdSet") -> "IdSet":
        """Every id of this set that is not in `other`. Linear in ranges."""
        rest = IdSet()
        for client, (starts, ends) in self._ranges.items():
            holes_from, holes_to = other._ranges.get(client, ((), ()))
            hole = 0
            for start, end in zip(starts, ends, strict=True):
                while hole < len(holes_to) and holes_to[hole] <= start:
                    hole += 1
                while hole < len(holes_to) and holes_from[hole] < end:
                    rest.add(client, start, holes_from[hole] - start)
                    start = holes_to[hole]
                    if start >= end:
                        break
                    hole += 1
                rest.add(client, start, end - start)
        return rest

    def split_at(self, state: Mapping[int, int]) -> tuple["IdSet", "IdSet"]:
        """Return (the ids below their client's clock in `state`, the others); no clock counts as 0."""
        below, beyond = IdSet(), IdSet()
        for client, clock, length in self:
            known = min(max(state.get(client, 0) - clock, 0), length)
            below.add(client, clock, known)
            beyond.add(client, clock + known, length - known)
        return below, beyond

    def write(self) -> bytes:
        """The wire form of a delete set."""
        out = [var_uint(len(self._ranges))]
        for client in sorted(self._ranges, reverse=True):
            starts, ends = self._ranges[client]
            out += (var_uint(client), var_uint(len(starts)))
            for start, end in zip(starts, ends, strict=True):
                out += (var_uint(start), var_uint(end - start))
        return b"".join(out)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """(client, clock, length) of every range; a client's in ascending order."""
        for client, (starts, ends) in self._ranges.items():
            for start, end in zip(starts, ends, strict=True):
                yield client, start, end - start

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdSet) and self._ranges == other._ranges

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"IdSet({list(self)})"


def read_id_set(data: bytes, position: int) -> tuple[IdSet, int]:
    """Return (the delete set that starts at `position`, the position after it). Raises MalformedBytes."""
    if data[position : position + 1] == b"\0":  # nearly always
        return IdSet(), position + 1
    clients, position = read_var_uint(data, position)
    ranges: list[tuple[int, int, int]] = []
    for _ in range(clients):
        client, position = read_var_uint(data, position)
        count, position = read_var_uint(data, position)
        for _ in range(count):
            clock, position = read_var_uint(data, position)
            length, position = read_var_uint(data, position)
            ranges.append((client, clock, length))
    return IdSet(ranges), position
