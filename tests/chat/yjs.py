"""Stock Yjs in a Node process (yjs.mjs), with any number of replicas of a chat thread in it."""

import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_SCRIPT = Path(__file__).with_suffix(".mjs")


class Yjs:
    """A context manager."""

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

    def replica(self, name: str, client_id: int, *, gc: bool = True) -> "YjsReplica":
        """A new replica; `gc`: whether it forgets what is deleted, as Yjs does unless told otherwise."""
        self.call("open", name=name, clientId=client_id, gc=gc)
        return YjsReplica(self, name)

    def clear(self) -> None:
        """Forget all replicas."""
        self.call("clear")

    def call(self, call: str, **request: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"call": call, **request}) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline() or '{"error": "the process ended"}')
        if "error" in answer:
            raise AssertionError(f"Yjs: {answer['error']}")
        return answer["result"]


class YjsReplica:
    def __init__(self, process: Yjs, name: str) -> None:
        self._process = process
        self._name = name

    def run(self, code: str, *, is_merged: bool = False) -> list[bytes]:
        """Run JavaScript on the replica (see `helpers` in yjs.mjs); returns the updates that it sends."""
        sent = self._process.call("run", name=self._name, code=code, isMerged=is_merged)
        return [b64decode(update) for update in sent]

    def read(self, code: str) -> Any:
        """The value of a JavaScript expression."""
        return self._process.call("read", name=self._name, code=code)

    def beside(self, name: str, client_id: int, *, gc: bool) -> "YjsReplica":
        """Another replica in the same process, that holds the same."""
        replica = self._process.replica(name, client_id, gc=gc)
        replica.apply(self.encode())
        return replica

    def apply(self, *updates: bytes | None) -> None:
        self._process.call("apply", name=self._name, updates=_texts(updates))

    def state(self) -> bytes:
        return b64decode(self._process.call("state", name=self._name))

    def encode(self, state: bytes | None = None) -> bytes:
        return b64decode(
            self._process.call("encode", name=self._name, state=state and b64encode(state).decode())
        )

    def json(self) -> dict[str, Any]:
        """What all four roots hold. Fails if anything is missing."""
        held: dict[str, Any] = self._process.call("json", name=self._name)
        return held


def _texts(updates: Iterable[bytes | None]) -> list[str]:
    return [b64encode(update).decode() for update in updates if update is not None]
