"""Merging and cutting updates as Yjs' `mergeUpdates` and `diffUpdate` do, but without losing a byte of
content.

Neither needs a document, and neither decodes what structs hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from server.protocol.id_set import IdSet
from server.protocol.structs import SKIP, Struct, in_order, read_structs, write_update
from server.protocol.update_shape import UpdateShape
from server.protocol.varint import read_var_uint, var_uint

_NOTHING = b"\0"
"""A delete set of nothing."""


def merge_updates(updates: Sequence[bytes]) -> bytes:
    """One update that says what these say. Of two structs for the same clocks the earlier update's stays.

    Updates may come in any order and overlap; holes between a client's structs become Skips. O(n log n) in
    structs. Raises MalformedBytes.
    """
    if len(updates) == 1:
        return updates[0]
    structs: list[Struct] = []
    deletes: list[tuple[int, int, int]] = []
    for update in updates:
        some, deleted = read_structs(update)
        structs += some
        if deleted:
            deletes += deleted
    return write_update(in_order(structs), IdSet(deletes))


def merge_consecutive(updates: Sequence[tuple[bytes, UpdateShape]]) -> bytes:
    """`merge_updates` of checked updates; quick where a client's structs follow those before, as typing does."""
    sections: dict[int, bytes] = {}
    for update, shape in updates:
        if len(shape.sections) != 1 or shape.deletes or shape.has_skips or update[0] != 1:
            return _merge_runs(updates)
        client, _, _, structs_end = shape.sections[0]
        if client in sections:
            return _merge_runs(updates)
        sections[client] = update[1:structs_end]
    clients = sorted(sections, reverse=True)
    return b"".join((var_uint(len(clients)), *[sections[client] for client in clients], _NOTHING))


def _merge_runs(updates: Sequence[tuple[bytes, UpdateShape]]) -> bytes:
    runs: dict[int, _Run] = {}
    deletes: list[tuple[int, int, int]] = []
    for update, shape in updates:
        deletes += shape.deletes
        for client, count, structs_start, structs_end in shape.sections:
            first, end = shape.structs.get(client, (0, 0))
            run = runs.setdefault(client, _Run(first, first))
            if shape.has_skips or run.end != first:
                return merge_updates([update for update, _ in updates])
            run.structs.append(update[structs_start:structs_end])
            run.count += count
            run.end = end
    out = [var_uint(len(runs))]
    for client in sorted(runs, reverse=True):
        run = runs[client]
        out += (var_uint(run.count), var_uint(client), var_uint(run.first), *run.structs)
    out.append(IdSet(deletes).write() if deletes else _NOTHING)
    return b"".join(out)


@dataclass(slots=True)
class _Run:
    """Consecutive structs of one client, from clock `first` to `end`."""

    first: int
    end: int
    count: int = 0
    structs: list[bytes] = field(default_factory=list)


def join_updates(first: bytes, second: bytes, deletions_bytes: int) -> bytes:
    """One update of two that hold different clients, and the same deletions in as many bytes at their ends."""
    sections, start = read_var_uint(first, 0)
    more, second_start = read_var_uint(second, 0)
    return b"".join(
        (var_uint(sections + more), first[start : len(first) - deletions_bytes], second[second_start:])
    )


def diff_update(update: bytes, state: Mapping[int, int]) -> bytes:
    """What a document with `state` (client -> next clock) lacks of the update: deletions all stay.

    Raises MalformedBytes.
    """
    structs, deletes = read_structs(update)
    unknown: list[Struct] = []
    for struct in structs:
        known = state.get(struct.client, 0) - struct.clock
        if known < struct.length:
            unknown.append(struct if known <= 0 or struct.ref == SKIP else struct.cut(known))
    return write_update(in_order(unknown), deletes)


def state_vector_of(update: bytes) -> dict[int, int]:
    """Client -> next clock that a document has which was given just this update.

    Only what starts at clock 0 and has no holes counts, dependencies are not looked at: as Yjs'
    `encodeStateVectorFromUpdate`. Raises MalformedBytes.
    """
    state: dict[int, int] = {}
    for client, run in in_order(read_structs(update)[0]).items():
        clock = 0
        for struct in run:
            if struct.clock > clock:
                break
            clock = struct.clock + struct.length
        if clock:
            state[client] = clock
    return state
