"""Whether two updates say the same under the same ids.

An id stands for one thing for ever, but nothing keeps two programs from writing under the same client id: a Yjs
replica would take either content for the other without a word.
"""

from collections.abc import Sequence
from itertools import groupby

from server.protocol.structs import ANY, DELETED, GC, JSON, SKIP, STRING, Struct, read_structs

_UNKNOWN = (GC, DELETED, SKIP)  # of which nobody can say any more what stood there


def contradicted(first: bytes, second: bytes) -> set[int]:
    """The client ids under which both updates hold a clock, and not the same content at it. Raises MalformedBytes."""
    known = _by_client(second)
    return {
        client
        for client, run in _by_client(first).items()
        if client in known and _contradict(run, known[client])
    }


def _by_client(update: bytes) -> dict[int, list[Struct]]:
    structs = sorted(read_structs(update)[0], key=lambda struct: (struct.client, struct.clock))
    return {client: list(run) for client, run in groupby(structs, key=lambda struct: struct.client)}


def _contradict(first: Sequence[Struct], second: Sequence[Struct]) -> bool:
    """Whether two runs of one client, both in the order of clocks, differ where they overlap."""
    at_first = at_second = 0
    while at_first < len(first) and at_second < len(second):
        one, other = first[at_first], second[at_second]
        start = max(one.clock, other.clock)
        one_end, other_end = one.clock + one.length, other.clock + other.length
        if start < min(one_end, other_end) and _differ(one, other, start):
            return True
        at_first += one_end <= other_end
        at_second += other_end <= one_end
    return False


def _differ(one: Struct, other: Struct, clock: int) -> bool:
    if one.ref in _UNKNOWN or other.ref in _UNKNOWN:
        return False
    if one.ref != other.ref:
        return True
    if one.ref not in (STRING, ANY, JSON):
        return one.source[one.content : one.end] != other.source[other.content : other.end]
    # Where both begin at the same clock, the one that ends first says what the other one begins with.
    rest, other_rest = _rest(one, clock), _rest(other, clock)
    return not (rest.startswith(other_rest) or other_rest.startswith(rest))


def _rest(struct: Struct, clock: int) -> bytes:
    """What it says from this clock on, value after value."""
    offset = clock - struct.clock
    if struct.ref == STRING:
        return struct.text.encode("utf-16-le")[2 * offset :]
    return (struct.cut(offset) if offset else struct).values
