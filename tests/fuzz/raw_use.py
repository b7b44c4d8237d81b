"""More than the server does with a document today: watches and reads every root of it through pycrdt itself.

An ordinary error of the engine is its right; a panic is not, but for what valid documents cause too:

- Observing subdocuments, or clearing an array that holds one, ends the process some of the times: not done here.
- Reading a root as what it is not may panic.
- Iterating an array, yrs advances by characters through what it measures in UTF-8 bytes: a string beyond ASCII
  below it keeps BlockIter::slice turning for ever. The text of a map or of XML holds that of the arrays within.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pycrdt import Array, Doc, Map, Text, TransactionEvent, XmlElement, XmlFragment, XmlText, merge_updates

from tests.fuzz.steps import Finding, Steps

T = TypeVar("T")

TYPES: list[Any] = [Text, Array, Map, XmlFragment]
ROOTS: dict[str, Any] = {"text": Text, "list": Array}
MAX_NESTING = 40  # reading deeper than seeds ever are


def use(steps: Steps, doc: Doc[Any], change: Callable[[], object], *, has_non_ascii: bool) -> None:
    """Watch a document while it changes, then read it. Raises Finding."""
    user = _User(steps, [Text] if has_non_ascii else TYPES)
    before = doc.get_state()
    events: list[bytes | None] = []
    watching = [doc.observe(lambda event: events.append(user.run("event", lambda: event.update)))]
    roots = watch(doc)
    change()
    for subscription in roots:
        subscription.drop()
    user.encode(doc, before)
    user.read_all(doc)
    copy: Doc[Any] = Doc()
    for event in events:
        if event:
            user.run("relay", lambda: copy.apply_update(event))  # noqa: B023
    user.encode(copy, before)
    watching.clear()


def watch(doc: Doc[Any]) -> list[Any]:
    """Observers of roots that read their events, as the projections of a room do.

    Each root under its own type: yrs panics on an event of a root that was fetched under another type meanwhile.
    No maps and XML: their events read all keys at once.
    """
    return [doc.get(root, type=kind).observe(read_event) for root, kind in ROOTS.items()]


def read_event(event: TransactionEvent) -> None:
    for name in ("delta", "path"):
        getattr(event, name, None)


class _User:
    def __init__(self, steps: Steps, types: list[Any]) -> None:
        self._steps = steps
        self._types = types
        self._reads_all = len(types) > 1

    def run(self, name: str, step: Callable[[], T]) -> T | None:
        """None where the engine refuses with an ordinary error."""
        try:
            return self._steps.run(f"raw {name}", step)
        except Exception:  # noqa: BLE001 whatever their type
            return None
        except BaseException as error:  # pyo3's PanicException
            raise Finding(f"panic: raw {name}: {type(error).__name__}: {error}"[:300]) from error

    def read(self, name: str, step: Callable[[], T]) -> T | None:
        """`run`, but a panic is fine."""
        with suppress(Finding):
            return self.run(name, step)
        return None

    def encode(self, doc: Doc[Any], before: bytes) -> None:
        whole = self.run("get_update", doc.get_update)
        self.run("get_state", doc.get_state)
        self.run("diff", lambda: doc.get_update(before))
        if whole is not None:
            self.run("load", lambda: Doc().apply_update(whole))
            self.run("merge", lambda: merge_updates(whole, whole))

    def read_all(self, doc: Doc[Any]) -> None:
        for root in self.run("roots", lambda: list(doc.keys())) or []:
            for kind in self._types:
                shared = self.run(f"get {kind.__name__}", lambda: doc.get(root, type=kind))  # noqa: B023
                if shared is not None:
                    self._read(kind.__name__, shared)

    def _read(self, name: str, shared: Any, depth: int = 0) -> None:
        for verb in (str, len, iter_all, repr) if self._reads_all else (str, len):
            self.read(f"{name} {verb.__name__}", lambda: verb(shared))  # noqa: B023
        for method in ("to_py", "diff", "keys"):
            if hasattr(shared, method):
                self.read(f"{name} {method}", getattr(shared, method))
        if isinstance(shared, XmlElement | XmlText | XmlFragment):
            self.read(f"{name} parent", lambda: shared.parent)
            attributes: Any = getattr(shared, "attributes", ())
            self.read(f"{name} attributes", lambda: list(attributes))
        if depth < MAX_NESTING and self._reads_all:
            for nested in self.read(f"{name} nested", lambda: nested_types(shared)) or []:
                self._read(f"{name}.{type(nested).__name__}" if depth < 2 else name, nested, depth + 1)


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
