"""Which part of an update can be integrated now, and which part has to wait for something that is still
missing.

An engine keeps what it cannot integrate in a place of its own, out of reach. The server decides itself
instead: the ready part goes to the engine, the log and the others, the rest waits where it can be counted and
limited.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush

from server.protocol.id_set import IdSet
from server.protocol.structs import SKIP, Id, Struct, in_order, read_structs, write_update


def split_ready(update: bytes, state: Mapping[int, int]) -> tuple[bytes | None, bytes | None]:
    """Return (what a document that holds exactly `state` can integrate, the rest); None where there is
    nothing.

    `state`: client -> its next clock. A struct is ready when it continues what is known of its client and all
    that it hangs on is known or ready; a delete range as far as its clocks are known or ready. What is known
    already is in neither part: of a struct that is partly known the new end is cut off. Bytes of other structs
    stay as they were. O(n log n) in structs, whatever they hang on. Raises MalformedBytes.
    """
    structs, deletes = read_structs(update)
    if _is_ready(structs, deletes, state):
        return (update if structs or deletes else None), None
    queues = in_order(structs)
    done, clocks = _advance(queues, state)
    now, later = deletes.split_at(
        {client: clocks.get(client, state.get(client, 0)) for client, _, _ in deletes}
    )
    ready: dict[int, list[Struct]] = {}
    rest: dict[int, list[Struct]] = {}
    for client, queue in queues.items():
        known = state.get(client, 0)
        unknown = bisect_right(queue, known, key=lambda struct: struct.clock + struct.length)
        ready[client] = _cut_known(queue[unknown : done[client]], known)
        rest[client] = queue[done[client] :]
    return _update_or_none(ready, now), _update_or_none(rest, later)


def _cut_known(queue: list[Struct], known: int) -> list[Struct]:
    """The engine would cut an overlap itself, without comparing what overlaps; arrays then loop when read."""
    if queue and queue[0].clock < known:
        queue[0] = queue[0].cut(known - queue[0].clock)
    return queue


def without_structs(update: bytes, refused: Callable[[int, int, int], bool]) -> bytes:
    """The update without those structs for which `refused(client, clock, length)`; deletions all stay.

    The bytes of the others stay as they were. Raises MalformedBytes.
    """
    structs, deletes = read_structs(update)
    kept = [struct for struct in structs if not refused(struct.client, struct.clock, struct.length)]
    return update if len(kept) == len(structs) else write_update(in_order(kept), deletes)


def without_new(update: bytes, state: Mapping[int, int], clients: frozenset[int]) -> bytes:
    """The update without what `clients` inserted beyond `state`: their ids are somebody else's."""
    return without_structs(
        update,
        lambda client, clock, length: client in clients and clock + length > state.get(client, 0),
    )


def _is_ready(structs: Iterable[Struct], deletes: IdSet, state: Mapping[int, int]) -> bool:
    """Whether all is new and ready in the order it stands in: so is nearly every update of an editor."""
    clocks: dict[int, int] = {}
    for struct in structs:
        client = struct.client
        clock = clocks[client] if client in clocks else state.get(client, 0)
        if struct.clock != clock or struct.info == SKIP:
            return False
        clocks[client] = clock
        if _missing(struct, clocks, state) is not None:
            return False
        clocks[client] = clock + struct.length
    for client, clock, length in deletes:
        if clock + length > (clocks[client] if client in clocks else state.get(client, 0)):
            return False
    return True


def _missing(struct: Struct, clocks: Mapping[int, int], state: Mapping[int, int]) -> Id | None:
    """An id that the struct hangs on and that is not there; `clocks` say more of some clients than `state`."""
    for link in (struct.origin, struct.right_origin, struct.parent):
        if isinstance(link, tuple) and link[1] >= (
            clocks[link[0]] if link[0] in clocks else state.get(link[0], 0)
        ):
            return link
    return None


def ready_structs(update: bytes, state: Mapping[int, int]) -> list[Struct]:
    """The structs that a document at `state` can integrate, each after all that it hangs on."""
    structs, _ = read_structs(update)
    ready: list[Struct] = []
    _advance(in_order(structs), state, ready.append)
    return ready


def in_parts(update: bytes, state: Mapping[int, int], structs_per_part: int) -> list[bytes]:
    """The same, for a document at `state` that lacks nothing of it, as updates to be integrated one by one."""
    structs, deletes = read_structs(update)
    if len(structs) <= structs_per_part:
        return [update]
    ready: list[Struct] = []
    _advance(in_order(structs), state, ready.append)
    starts = range(0, len(ready), structs_per_part)
    parts = [write_update(in_order(ready[start : start + structs_per_part]), IdSet()) for start in starts]
    return [*parts, write_update({}, deletes)] if deletes else parts


def _ignore(_: Struct) -> None: ...


def _advance(
    queues: Mapping[int, Sequence[Struct]],
    state: Mapping[int, int],
    visit: Callable[[Struct], None] = _ignore,
) -> tuple[dict[int, int], dict[int, int]]:
    """Return (client -> how many structs of its queue are known or ready, client -> its next clock then).

    `visit` gets every ready struct, after all that it hangs on.

    A queue that meets something missing waits in a heap of the client that it is missing from, and is looked
    at again only when that client has got so far: each struct is looked at no more than four times.
    """
    done = dict.fromkeys(queues, 0)
    clocks = {client: state.get(client, 0) for client in queues}
    waiting: dict[int, list[tuple[int, int]]] = {}  # client -> heap of (clock waited for, client that waits)
    work = list(queues)
    while work:
        client = work.pop()
        missing = _advance_one(client, queues[client], done, clocks, state, visit)
        if missing is not None:
            heappush(waiting.setdefault(missing[0], []), (missing[1], client))
        heap = waiting.get(client)
        while heap and heap[0][0] < clocks[client]:
            work.append(heappop(heap)[1])
    return done, clocks


def _advance_one(
    client: int,
    queue: Sequence[Struct],
    done: dict[int, int],
    clocks: dict[int, int],
    state: Mapping[int, int],
    visit: Callable[[Struct], None],
) -> Id | None:
    """Move `done` and `clocks` of this client as far as they go; return the id that is missing, if any."""
    clock = clocks[client]
    for index in range(done[client], len(queue)):
        struct = queue[index]
        end = struct.clock + struct.length
        if end > clock:
            if struct.clock > clock:
                return None  # a hole in its own clocks, which nothing in this update fills
            missing = _missing(struct, clocks, state)
            if missing is not None:
                return missing
            clocks[client] = clock = end
            visit(struct)
        done[client] = index + 1
    return None


def _update_or_none(structs: Mapping[int, Sequence[Struct]], deletes: IdSet) -> bytes | None:
    return write_update(structs, deletes) if deletes or any(structs.values()) else None
