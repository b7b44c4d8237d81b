"""The one door to pycrdt: apply, encode, read. What the engine does wrong is caught and repaired here.

A panic of the engine is a BaseException, and any error may leave half an update applied: after an EngineFailure the
document must not be used again, and its owner builds another from the log.

Only `text` reads: yrs loops for ever when an array is read that holds a string which is not ASCII, as a client may
arrange, and panics when a root is read as a type that it is not.
"""

from collections.abc import Iterable

from pycrdt import Doc, Text

from server.protocol.contents import Contents
from server.protocol.merge_updates import merge_updates
from server.protocol.placement import Placement
from server.protocol.split_update import in_parts
from server.protocol.surrogates import SurrogateGuard
from server.protocol.update_shape import UpdateShape, check_update
from server.protocol.varint import var_uint

_BATCH = 1000
"""Updates merged before they are replayed: merging takes a third of the time that the engine takes for each."""


_LARGE_BYTES, _MAX_STRUCTS = 4096, 1000
"""yrs takes time and memory by the square of an update's structs: 29 s and 3 GB for 100,000 of one character each."""


class EngineFailure(Exception):
    """The engine panicked or refused an update that had passed the checker; the document is unusable."""


class MustRebuild(Exception):
    """The update splits a surrogate pair the engine holds whole; build the document again with this guard."""

    def __init__(self, guard: SurrogateGuard) -> None:
        super().__init__("a surrogate pair was split")
        self.guard = guard


class Document:
    """A Yjs document in memory: the engine's replica, and what it holds."""

    def __init__(self, guard: SurrogateGuard | None = None) -> None:
        self.ydoc: Doc[Text] = Doc()
        self.contents = Contents()
        self._placement = Placement()
        self._guard = guard or SurrogateGuard()

    @classmethod
    def load(cls, updates: Iterable[bytes], guard: SurrogateGuard | None = None) -> "Document":
        """Build a document from stored updates, oldest first. Raises EngineFailure, MalformedUpdate."""
        updates = list(updates)
        batches = [merge_updates(updates[start : start + _BATCH]) for start in range(0, len(updates), _BATCH)]
        guard = guard or SurrogateGuard()
        for batch in batches:
            guard.admit(batch)
        document = cls(guard)
        for batch in batches:
            document.apply(batch, check_update(batch))
        return document

    def apply(self, update: bytes, shape: UpdateShape) -> None:
        """Integrate an update that continues `contents` without a gap or an overlap.

        Raises EngineFailure; MalformedUpdate and MustRebuild, by which nothing was applied.
        """
        self._placement.admit(update, shape, self.contents.state)
        guard = self._guard
        if guard.active or shape.has_astral:
            if guard.admit(update):
                raise MustRebuild(guard)
            update = guard.rewrite(update)
        try:
            for part in self._parts(update):
                self._integrate(part)
        except BaseException as error:
            raise _as_failure(error) from error
        self.contents.advance(shape)

    def _parts(self, update: bytes) -> list[bytes]:
        return [update] if len(update) < _LARGE_BYTES else in_parts(update, self.contents.state, _MAX_STRUCTS)

    def _integrate(self, update: bytes) -> None:
        self.ydoc.apply_update(update)

    def state_vector(self) -> bytes:
        """Encoded. Raises EngineFailure."""
        try:
            return self.ydoc.get_state()
        except BaseException as error:
            raise _as_failure(error) from error

    def encode_since(self, state_vector: bytes) -> bytes:
        """One update with all that a replica of that (checked) state vector lacks. Raises EngineFailure."""
        try:
            return self.ydoc.get_update(state_vector)
        except BaseException as error:
            raise _as_failure(error) from error

    def encode_of_clients(self, client_ids: Iterable[int]) -> bytes:
        """One update with every struct of these clients, and all deletions. Raises EngineFailure."""
        return self.encode_since(write_state_vector(self.contents.state | dict.fromkeys(client_ids, 0)))

    def text(self, root: str) -> str:
        """The text under a root name. Raises EngineFailure."""
        try:
            return str(self.ydoc.get(root, type=Text))
        except BaseException as error:
            raise _as_failure(error) from error


def write_state_vector(state: dict[int, int]) -> bytes:
    """Encode client id -> next clock."""
    known = [(client, clock) for client, clock in state.items() if clock > 0]
    return var_uint(len(known)) + b"".join(var_uint(client) + var_uint(clock) for client, clock in known)


def _as_failure(error: BaseException) -> BaseException:
    """A panic of the engine (pyo3's PanicException, not an Exception) becomes an EngineFailure; the rest stays."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    return EngineFailure(f"{type(error).__name__}: {error}")
