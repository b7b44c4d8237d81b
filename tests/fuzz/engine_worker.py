"""The sacrificial process: does to each update what a room may ever do with it, and says how that went.

Reads cases from stdin (length-prefixed state, length-prefixed update, 4 bytes big-endian each), answers each with
one JSON line. It may die or hang: that is what it is for.
"""

import json
import resource
import sys
from typing import Any

from server.engine.document import Document, MustRebuild
from server.protocol.update_shape import check_update
from tests.fuzz.raw_use import use
from tests.fuzz.room_model import RoomModel, unharmed
from tests.fuzz.steps import Finding, Steps

MEMORY_BYTES = 2 << 30


def exercise(state: bytes, update: bytes) -> dict[str, Any]:
    """How the update went in each room, the slowest step in ms, memory in MB, the first finding."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    steps = Steps()
    outcomes: list[str] = []
    finding = ""
    try:
        on_empty(steps, outcomes, state, update)
        if state:
            on_parent(steps, outcomes, state, update)
    except Finding as error:
        finding = str(error)
    return {
        "finding": finding,
        "outcomes": outcomes,
        "ms": steps.slowest[0] * 1e3,
        "slowest": steps.slowest[1],
        "mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


def on_empty(steps: Steps, outcomes: list[str], state: bytes, update: bytes) -> None:
    """The update comes first, then what it was made for, then what of it had to wait for that."""
    room = RoomModel(steps)
    with unharmed("empty room"):
        outcomes.append(room.receive(update))
    outcomes += room.examine(b"\0")
    use_raw(steps, room.log)
    if state:
        with unharmed("empty room, filled"):
            room.receive(state)
            outcomes += room.retry_held()
        outcomes += room.examine(b"\0")


def on_parent(steps: Steps, outcomes: list[str], state: bytes, update: bytes) -> None:
    room = RoomModel(steps)
    with unharmed("parent"):
        how = room.receive(state)
        if how.startswith(("refused", "failed")):
            raise Finding(f"valid update {how}")
        room.reload()
        known = room.document.state_vector()
        outcomes.append(room.receive(update))
    outcomes += room.examine(known)
    use_raw(steps, room.log)


def use_raw(steps: Steps, log: list[bytes]) -> None:
    """The last update once more, on a document that is watched and read directly."""
    if not log:
        return
    shapes = [check_update(update) for update in log]
    document = Document.load(log[:-1])
    try:
        use(
            steps,
            document.ydoc,
            lambda: document.apply(log[-1], shapes[-1]),
            has_non_ascii=any(shape.has_non_ascii for shape in shapes),
        )
    except MustRebuild:
        return


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source = sys.stdin.buffer
    while head := source.read(4):
        state = source.read(int.from_bytes(head, "big"))
        update = source.read(int.from_bytes(source.read(4), "big"))
        print(json.dumps(exercise(state, update)), flush=True)


if __name__ == "__main__":
    main()
