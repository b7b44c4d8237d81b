"""What a room does with updates, without members and without a disk; and what has to hold after each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pycrdt import Doc, Text

from server.engine.document import Document, EngineFailure, MustRebuild, write_state_vector
from server.protocol.update_shape import MalformedUpdate, UpdateShape, check_state_vector
from server.rooms.gate import judge
from tests.fuzz.steps import Finding, Steps

T = TypeVar("T")


def nobody(client_id: int) -> None:
    """Owns this client id."""


class RoomModel:
    """`log`: what was applied, in order. `held`: what waits for something missing."""

    def __init__(self, steps: Steps) -> None:
        self.log: list[bytes] = []
        self.held: list[bytes] = []
        self.document = Document()
        self._steps = steps

    def receive(self, update: bytes) -> str:
        """Take in an update; returns how it went: applied, rebuilt, nothing new, refused or failed (and why)."""
        document = self.document
        try:
            verdict = self._steps.run(
                "judge", lambda: judge(update, document.contents, nobody, user_id=1, is_reply=True)
            )
            if verdict.rest is not None:
                self.held.append(verdict.rest)
            if verdict.ready is None or verdict.shape is None or not document.contents.adds(verdict.shape):
                return "nothing new"
            outcome = self._apply(verdict.ready, verdict.shape)
        except MalformedUpdate as error:
            return f"refused: {error.reason}"
        except EngineFailure as error:
            self.document = self._loaded()
            return f"failed: {error}"
        self.log.append(verdict.ready)
        return outcome

    def _apply(self, update: bytes, shape: UpdateShape) -> str:
        try:
            self._steps.run("apply", lambda: self.document.apply(update, shape))
        except MustRebuild as error:
            guard = error.guard
            self.document = self._steps.run("rebuild", lambda: Document.load(self.log, guard))
            self._steps.run("apply again", lambda: self.document.apply(update, shape))
            return "rebuilt"
        return "applied"

    def retry_held(self) -> list[str]:
        """What waits, once more."""
        held, self.held = self.held, []
        return [self.receive(update) for update in held]

    def reload(self) -> None:
        """Close the document and open it from the log."""
        self.document = self._loaded()

    def _loaded(self) -> Document:
        with unharmed("load"):
            return self._steps.run("load", lambda: Document.load(self.log))

    def examine(self, known: bytes) -> list[str]:
        """Do all that members may ask for, one of them at state vector `known`. Raises Finding.

        Returns which replicas show a text in another order. An author that names neighbours in an order in which
        they never stood can bring that about in every Yjs; it takes the whole sequence to see.
        """
        document, again = self.document, self._loaded()
        contents, texts = document.contents, self._texts(document)
        self._assert_equal("state", contents.state, self._state(document))
        self._assert_equal("state after loading", contents.state, again.contents.state)
        self._assert_equal("state after loading", contents.state, self._state(again))
        self._assert_equal("deletions after loading", contents.deleted, again.contents.deleted)
        reordered = self._compare("text after loading", texts, self._texts(again))
        for state_vector in (known, write_state_vector(contents.state), *half_known(contents.state)):
            self._run("encode_since", lambda: document.encode_since(state_vector))  # noqa: B023
        for client_id in contents.state:
            self._run("encode_of_client", lambda: document.encode_of_clients((client_id,)))  # noqa: B023
        whole = self._run("encode_since", lambda: document.encode_since(b"\0"))
        newcomer: Doc[Any] = Doc()
        self._run("newcomer", lambda: newcomer.apply_update(whole))
        newcomers = {root: str(newcomer.get(root, type=Text)) for root in texts}
        return reordered + self._compare("text of a newcomer", texts, newcomers)

    def _texts(self, document: Document) -> dict[str, str]:
        roots = sorted(self._run("roots", lambda: list(document.ydoc.keys())))
        return {root: self._run("text", lambda: document.text(root)) for root in roots}  # noqa: B023

    def _state(self, document: Document) -> dict[int, int]:
        return check_state_vector(self._run("state_vector", document.state_vector))

    def _run(self, name: str, step: Callable[[], T]) -> T:
        with unharmed(name):
            return self._steps.run(name, step)

    def _assert_equal(self, what: str, live: object, other: object) -> None:
        if live != other:
            raise Finding(f"diverged: {what}: {live!r:.300} is now {other!r:.300}")

    def _compare(self, what: str, live: dict[str, str], other: dict[str, str]) -> list[str]:
        if live == other:
            return []
        self._assert_equal(what, letters(live), letters(other))
        return [f"reordered: {what}"]


def letters(texts: dict[str, str]) -> dict[str, list[str]]:
    return {root: sorted(text) for root, text in texts.items()}


@contextmanager
def unharmed(name: str) -> Iterator[None]:
    """Once an update was applied, nothing may fail: it would fail whoever asks, and every time."""
    try:
        yield
    except (Finding, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic is one
        raise Finding(f"failed: {name}: {type(error).__name__}: {error}"[:300]) from error


def half_known(state: dict[int, int]) -> Iterator[bytes]:
    """State vectors of members that lack something of everybody, lack one client, and claim too much."""
    yield write_state_vector({client: clock // 2 for client, clock in state.items()})
    for client in list(state)[:3]:
        yield write_state_vector({**state, client: max(0, state[client] - 1)})
    yield write_state_vector({**{client: clock + 3 for client, clock in state.items()}, 77: 9})
