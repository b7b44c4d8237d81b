"""Stock Yjs in a Node process of its own (oracle.mjs), for tests to compare with."""

import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from server.protocol.varint import var_uint

_SCRIPT = Path(__file__).with_name("oracle.mjs")


class Oracle:
    """A context manager. Documents are numbered from 0 in the order of `open`'s client ids."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["node", str(_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process as process:  # closes its pipes and waits
            assert process.stdin is not None
            process.stdin.close()

    def open(self, seed: int, client_ids: Sequence[int], mode: str, roots: Sequence[str]) -> None:
        self._call("open", seed=seed, clientIds=client_ids, mode=mode, roots=roots)

    def edit(self, doc: int, times: int = 1) -> list[bytes]:
        return [b64decode(update) for update in self._call("edit", doc=doc, times=times)]

    def apply(self, doc: int, updates: Iterable[bytes]) -> list[bytes]:
        """Returns what the document then sends by itself: Yjs deletes formats that became superfluous."""
        return [b64decode(update) for update in self._call("apply", doc=doc, updates=_texts(updates))]

    def state(self, doc: int) -> bytes:
        """A state vector."""
        return b64decode(self._call("state", doc=doc))

    def encode(self, doc: int, state: bytes | None = None) -> bytes:
        return b64decode(self._call("encode", doc=doc, state=state and _text(state)))

    def contents(self, doc: int) -> Any:
        return self._call("contents", doc=doc)

    def exact(self, doc: int) -> str:
        """`contents`, the XML's markup and the state as JSON, in which the order of keys of plain objects counts."""
        return str(self._call("exact", doc=doc))

    def read(self, updates: Iterable[bytes]) -> dict[str, Any]:
        """`contents`, `ids` (state, deletes) and `isPending` of a new document that got these updates."""
        result: dict[str, Any] = self._call("read", updates=_texts(updates))
        return result

    def merge(self, updates: Iterable[bytes]) -> bytes:
        return b64decode(self._call("merge", updates=_texts(updates)))

    def diff(self, update: bytes, state: dict[int, int]) -> bytes:
        return b64decode(self._call("diff", update=_text(update), state=_text(state_vector(state))))

    def state_of(self, update: bytes) -> dict[int, int]:
        return dict(self._call("stateOf", update=_text(update)))

    def write(
        self, client_id: int, updates: Iterable[bytes], *edits: Sequence[Any]
    ) -> tuple[str, list[bytes]]:
        """A new document of this client that applies `updates`, then edits its root `text`."""
        text, sent = self._call("write", clientId=client_id, updates=_texts(updates), edits=edits)
        return text, [b64decode(update) for update in sent]

    def _call(self, call: str, **request: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"call": call, **request}) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline() or '{"error": "the oracle ended"}')
        if "error" in answer:
            raise AssertionError(f"Yjs: {answer['error']}")
        return answer["result"]


def state_vector(state: dict[int, int]) -> bytes:
    entries = (var_uint(client) + var_uint(clock) for client, clock in state.items())
    return var_uint(len(state)) + b"".join(entries)


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _texts(updates: Iterable[bytes]) -> list[str]:
    return [_text(update) for update in updates]
