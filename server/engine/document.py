"""The one door to pycrdt: apply, encode, read. What the engine does wrong is caught and repaired here.

A panic of the engine is a BaseException, and any error may leave half an update applied: after an EngineFailure the
document must not be used again, and its owner builds another from the log.

Only `text` reads: yrs loops for ever when an array is read that holds a string which is not ASCII, as a client may
arrange, and panics when a root is read as a type that it is not.
"""

from collections.abc import Iterable, Mapping, Sequence

from pycrdt import Doc, Text

from server.protocol.contents import Contents
from server.protocol.id_set import read_id_set
from server.protocol.merge_updates import join_updates, merge_updates
from server.protocol.originals import Originals
from server.protocol.placement import Placement
from server.protocol.split_update import in_parts, split_ready
from server.protocol.structs import Id
from server.protocol.surrogates import SurrogateGuard
from server.protocol.update_shape import UpdateShape, check_state_vector, check_update
from server.protocol.varint import var_uint

_BATCH = 1000
"""Updates merged before they are replayed: merging takes a third of the time that the engine takes for each."""


_LARGE_BYTES, _MAX_STRUCTS = 4096, 1000
"""yrs takes time and memory by the square of an update's structs: 29 s and 3 GB for 100,000 of one character each."""


_MAX_ENCODED = 4

_NO_STRUCTS = 1
"""Where the deletions begin in an update without structs."""


class EngineFailure(Exception):
    """The engine panicked or refused an update that had passed the checker; the document is unusable."""


class Incomplete(Exception):
    """Something in the updates builds on what none of them brings."""


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
        self._originals = Originals()
        self._encoded: dict[bytes, bytes] = {}
        """State vector -> what `encode_since` said, of late and of some size: those who return together ask alike."""

    @classmethod
    def load(cls, updates: Sequence[bytes], guard: SurrogateGuard | None = None) -> "Document":
        """Build a document from stored updates, oldest first.

        Raises EngineFailure, MalformedUpdate, Incomplete, MustRebuild.
        """
        document = cls(guard)
        document.replay(updates)
        return document

    def replay(self, updates: Sequence[bytes]) -> None:
        """Take in stored updates, oldest first. Raises as `load` does; then the document must not be used."""
        batches = [merge_updates(updates[start : start + _BATCH]) for start in range(0, len(updates), _BATCH)]
        for batch in batches:
            self._guard.admit(batch)
        for batch in batches:
            _, rest = self.take_in(batch)
            if rest is not None:
                raise Incomplete

    def take_in(self, update: bytes) -> tuple[bool, bytes | None]:
        """Apply what the document is ready for and does not hold yet.

        Returns (whether there was anything, what has to wait if anything). Raises EngineFailure; MalformedUpdate and
        MustRebuild, by which nothing was applied.
        """
        shape, rest = check_update(update), None
        if not self.contents.continued_by(shape):
            ready, rest = split_ready(update, self.contents.state)
            if ready is None:
                return False, rest
            if ready is not update:
                update, shape = ready, check_update(ready)
        self.apply(update, shape)
        return True, rest

    @classmethod
    def of_snapshot(cls, updates: Sequence[bytes], summary: bytes) -> "Document":
        """Build a document from its `encoding` and `summary`, which nobody has touched in between.

        A plain text needs no look at each of its structs, which takes ten times as long as the engine does.
        Raises EngineFailure, and as `load` does.
        """
        document = cls()
        if not summary:
            document.replay(updates)
            return document
        try:
            for update in updates:
                document._integrate(update)
            state_vector = document.ydoc.get_state()
            deletions = document.ydoc.get_update(state_vector)
        except BaseException as error:
            raise _as_failure(error) from error
        document.contents.state = check_state_vector(state_vector)
        document.contents.deleted, _ = read_id_set(deletions, _NO_STRUCTS)
        document._placement = Placement.of_sequence(summary.decode(), document.contents.deleted.union())
        return document

    def encoding(self) -> tuple[bytes, ...]:
        """The whole document as updates that an engine takes one after another. Raises EngineFailure."""
        return tuple(in_parts(self.encode_since(b"\0"), {}, _MAX_STRUCTS))

    def summary(self) -> bytes:
        """What `of_snapshot` may rely on: the root's name, if this is plain text under one root; else nothing."""
        root = self._placement.only_sequence(self.contents.deleted)
        return b"" if root is None or self._guard.active or self._originals else root.encode()

    def apply(self, update: bytes, shape: UpdateShape) -> None:
        """Integrate an update that continues `contents` without a gap or an overlap.

        Raises EngineFailure; MalformedUpdate and MustRebuild, by which nothing was applied.
        """
        self._placement.admit(update, shape, self.contents.state)
        guard, rewritten = self._guard, update
        if guard.active or shape.has_astral:
            if guard.admit(update):
                raise MustRebuild(guard)
            rewritten = guard.rewrite(update)
        try:
            for part in self._parts(rewritten):
                self._integrate(part)
        except BaseException as error:
            raise _as_failure(error) from error
        self._originals.admit(update, shape)
        self.contents.advance(shape)
        self._encoded.clear()

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
        update = self._encoded.get(state_vector)
        if update is None:
            update = self._encode_whole(state_vector) if self._originals else self._encode(state_vector)
            if len(update) >= _LARGE_BYTES:
                if len(self._encoded) == _MAX_ENCODED:
                    self._encoded.clear()
                self._encoded[state_vector] = update
        return update

    def _encode(self, state_vector: bytes) -> bytes:
        try:
            return self.ydoc.get_update(state_vector)
        except BaseException as error:
            raise _as_failure(error) from error

    def _encode_whole(self, state_vector: bytes) -> bytes:
        """With what the engine does not keep. Only of clients that wrote such values each struct is looked at."""
        state, wanted = self.contents.state, check_state_vector(state_vector)
        clients = self._originals.clients
        others = wanted | {client: state[client] for client in clients}
        theirs = state | {client: wanted.get(client, 0) for client in clients}
        deletions_bytes = len(self._encode(write_state_vector(state))) - _NO_STRUCTS
        return join_updates(
            self._encode(write_state_vector(others)),
            self._originals.restore(self._encode(write_state_vector(theirs))),
            deletions_bytes,
        )

    def encode_of_clients(self, client_ids: Iterable[int]) -> bytes:
        """One update with every struct of these clients, and all deletions. Raises EngineFailure."""
        return self.encode_since(write_state_vector(self.contents.state | dict.fromkeys(client_ids, 0)))

    def is_in_sequence(self, root: str, item: Id) -> bool:
        """Whether the document has the item, deleted or not, directly under this root and under no key of it."""
        client, clock = item
        return clock < self.contents.state.get(client, 0) and self._placement.holds((root, None), item)

    def text(self, root: str) -> str:
        """The text under a root name. Raises EngineFailure."""
        try:
            return str(self.ydoc.get(root, type=Text))
        except BaseException as error:
            raise _as_failure(error) from error


def write_state_vector(state: Mapping[int, int]) -> bytes:
    """Encode client id -> next clock."""
    known = [(client, clock) for client, clock in state.items() if clock > 0]
    return var_uint(len(known)) + b"".join(var_uint(client) + var_uint(clock) for client, clock in known)


def _as_failure(error: BaseException) -> BaseException:
    """A panic of the engine (pyo3's PanicException, not an Exception) becomes an EngineFailure; the rest stays."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    return EngineFailure(f"{type(error).__name__}: {error}")
