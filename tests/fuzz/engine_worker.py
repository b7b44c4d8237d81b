"""The sacrificial process: does to each update what a room may ever do with it, and says how that went.

Reads cases from stdin (length-prefixed state, length-prefixed update, 4 bytes big-endian each), answers each with
one JSON line. It may die or hang: that is what it is for.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from pycrdt import (
    Array,
    Doc,
    Map,
    Text,
    TransactionEvent,
    XmlElement,
    XmlFragment,
    XmlText,
    get_state,
    get_update,
    merge_updates,
)

from server.protocol.update_shape import MalformedUpdate, UpdateShape, check_state_vector, check_update, fits

TYPES: list[Any] = [Text, Array, Map, XmlFragment]
ROOTS: dict[str, Any] = {"text": Text, "list": Array, "map": Map, "xml": XmlFragment}
MEMORY_BYTES = 2 << 30
MAX_NESTING = 40  # reading deeper than seeds ever are


class Timer:
    """Runs steps, remembering the slowest one and the errors that the engine raised as it should."""

    def __init__(self, *, has_non_ascii: bool) -> None:
        # Iterating an array, yrs advances by characters through what it measures in UTF-8 bytes: a string beyond
        # ASCII below it keeps BlockIter::slice turning for ever, in valid documents read as an array too. The
        # text of a map or of XML holds that of the arrays within.
        self.types: list[Any] = [Text] if has_non_ascii else TYPES
        self.read_panics: list[str] = []
        self.slowest = (0.0, "")
        self.refusals: list[str] = []
        self.panic = ""

    def run(self, name: str, step: Callable[[], Any], *, reads: bool = False) -> Any:
        start = time.perf_counter()
        try:
            return step()
        except Exception as error:  # noqa: BLE001 the engine's ordinary refusals, whatever their type
            self.refusals.append(f"{name}: {type(error).__name__}: {error}"[:200])
        except BaseException as error:  # noqa: BLE001 pyo3's PanicException is one
            text = f"{name}: {type(error).__name__}: {error}"[:300]
            if reads:  # reading a root as what it is not may panic in valid documents
                self.read_panics.append(text)
            else:
                self.panic = self.panic or text
        finally:
            self.slowest = max(self.slowest, (time.perf_counter() - start, name))
        return None


def exercise(state: bytes, update: bytes) -> dict[str, Any]:
    """Slowest step in ms, memory in MB, the first panic, what the engine refused with an ordinary error.

    Merged and diffed always, applied where the update `fits`, as a room does it.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    timer = Timer(has_non_ascii=has_non_ascii(state) or has_non_ascii(update))
    shape = shape_of(update)
    applied = False
    if shape is None or fits(shape, {}):
        applied = True
        use(timer, "empty", b"", update)
    if state and (shape is None or fits(shape, state_of(state))):
        applied = True
        use(timer, "parent", state, update)
    if state:
        timer.run("merge parent", lambda: merge_updates(state, update))
        timer.run("merge with parent", lambda: merge_updates(update, state))
    sv = timer.run("get_state of update", lambda: get_state(update))
    timer.run("diff of update", lambda: get_update(update, sv or b"\x00"))
    timer.run("whole diff of update", lambda: get_update(update, b"\x00"))
    timer.run("merge itself", lambda: merge_updates(update, update))
    return {
        "applied": applied,
        "panic": timer.panic,
        "ms": timer.slowest[0] * 1e3,
        "slowest": timer.slowest[1],
        "mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        "refusals": timer.refusals,
        "read_panics": timer.read_panics,
    }


def use(timer: Timer, name: str, state: bytes, update: bytes) -> None:
    doc: Doc[Any] = Doc(client_id=99)
    events: list[bytes] = []

    def on_event(event: TransactionEvent) -> None:
        events.append(timer.run(f"{name}: event", lambda: event.update))

    subscriptions: list[Any] = [doc.observe(on_event)]
    subscriptions.append(doc.observe_subdocs(lambda event: event))
    before = doc.get_state()
    if state:
        timer.run(f"{name}: state", lambda: doc.apply_update(state))
        before = doc.get_state()
        subscriptions += watch(doc)
    timer.run(f"{name}: apply", lambda: doc.apply_update(update))
    timer.run(f"{name}: apply twice", lambda: doc.apply_update(update))
    encode(timer, name, doc, before)
    for subscription in subscriptions[2:]:
        subscription.drop()
    for root in timer.run(f"{name}: roots", lambda: list(doc.keys())) or []:
        for kind in timer.types:
            shared = timer.run(f"{name}: get {kind.__name__}", lambda: doc.get(root, type=kind))  # noqa: B023
            if shared is not None:
                read(timer, f"{name}: {kind.__name__}", shared)
    write(timer, name, doc)
    encode(timer, f"{name}, edited", doc, before)
    if state:
        timer.run(f"{name}: state again", lambda: doc.apply_update(state))
    copy: Doc[Any] = Doc()
    for event in [update for update in events if update]:
        timer.run(f"{name}: relay", lambda: copy.apply_update(event))  # noqa: B023
    encode(timer, f"{name}, relayed", copy, before)


def watch(doc: Doc[Any]) -> list[Any]:
    """Observers of all roots that read their events, as the projections of a room do.

    Each root under its own type: yrs panics on an event of a root that was fetched under another type meanwhile.
    No maps and XML: their events read all keys at once and panic where a format hangs on a map's entry, which
    takes the document to see.
    """
    found = []
    for root, kind in ROOTS.items():
        shared = doc.get(root, type=kind)
        if kind in (Text, Array):
            found.append(shared.observe(read_event))
    return found


def read_event(event: Any) -> None:
    for name in ("delta", "path"):
        getattr(event, name, None)


def encode(timer: Timer, name: str, doc: Doc[Any], before: bytes) -> None:
    whole = timer.run(f"{name}: get_update", doc.get_update)
    timer.run(f"{name}: get_state", doc.get_state)
    timer.run(f"{name}: diff", lambda: doc.get_update(before))
    if whole is not None:
        timer.run(f"{name}: load", lambda: Doc().apply_update(whole))
        timer.run(f"{name}: merge", lambda: merge_updates(whole, whole))


def read(timer: Timer, name: str, shared: Any, depth: int = 0) -> None:
    for verb in (str, len, iter_all, repr) if len(timer.types) > 1 else (str, len):
        timer.run(f"{name} {verb.__name__}", lambda: verb(shared), reads=True)  # noqa: B023
    for method in ("to_py", "diff", "keys"):
        if hasattr(shared, method):
            timer.run(f"{name} {method}", getattr(shared, method), reads=True)
    if isinstance(shared, XmlElement | XmlText | XmlFragment):
        timer.run(f"{name} parent", lambda: shared.parent, reads=True)
        attributes: Any = getattr(shared, "attributes", ())
        timer.run(f"{name} attributes", lambda: list(attributes), reads=True)
    if depth < MAX_NESTING and len(timer.types) > 1:
        for nested in timer.run(f"{name} nested", lambda: nested_types(shared), reads=True) or []:
            read(timer, f"{name}.{type(nested).__name__}" if depth < 2 else name, nested, depth + 1)


def iter_all(shared: Any) -> list[Any]:
    return list(shared) if hasattr(shared, "__iter__") else []


def nested_types(shared: Any) -> list[Any]:
    if isinstance(shared, Map):
        values: list[Any] = list(shared.values())
    elif isinstance(shared, XmlFragment | XmlElement):
        values = list(shared.children)
    elif isinstance(shared, Array):
        values = list(shared)
    else:
        values = [chunk for chunk, _ in shared.diff()] if hasattr(shared, "diff") else []
    return [
        value
        for value in values
        if isinstance(value, Text | Array | Map | XmlFragment | XmlElement | XmlText)
    ]


def write(timer: Timer, name: str, doc: Doc[Any]) -> None:
    """A later edit by the server: at the front, at the back, a key, and of arrays all deleted."""
    for root in list(doc.keys()):
        content = doc.get(root, type=Text)
        timer.run(f"{name}: insert", lambda: content.insert(0, "e"))  # noqa: B023
        entries = doc.get(root, type=Map)
        timer.run(f"{name}: set", lambda: entries.__setitem__("k", 1))  # noqa: B023
        timer.run(f"{name}: unset", lambda: entries.pop("k"))  # noqa: B023
        if Array in timer.types:
            array = doc.get(root, type=Array)
            timer.run(f"{name}: push", lambda: array.append(1))  # noqa: B023
            timer.run(f"{name}: clear", lambda: array.clear())  # noqa: B023


def shape_of(update: bytes) -> UpdateShape | None:
    """None for what the checker refuses: the crashers of old, replayed without it."""
    try:
        return check_update(update)
    except MalformedUpdate:
        return None


def state_of(update: bytes) -> dict[int, int]:
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return check_state_vector(doc.get_state())


def has_non_ascii(update: bytes) -> bool:
    shape = shape_of(update) if update else None
    return shape is not None and shape.has_non_ascii


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
