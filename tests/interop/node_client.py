"""Real Yjs clients (npm's yjs and y-websocket) for tests and benchmarks: `clients/driver.mjs` run in Node.js.

A `NodeDriver` is one Node process with any number of clients in it, each a stock provider of its own.
"""

import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import anyio
from anyio.abc import Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

HERE = Path(__file__).parent
WAIT_SECONDS = 15.0
_MAX_ANSWER_BYTES = 64 * 1024 * 1024

ProviderVersion = Literal["1.5", "2", "3"]


class ClientError(Exception):
    """A command failed in the Node process, or a wait ran out; the message says what was seen instead."""


@dataclass(frozen=True)
class Typed:
    """One token of a typist, and what the server has confirmed about it."""

    token: str
    is_deleted: bool
    is_insertion_confirmed: bool
    is_deletion_confirmed: bool


@dataclass(frozen=True)
class Stats:
    """Messages by name and direction since the client began; edits made, and confirmed without a gap.

    Times are on the clock of the driver's process.
    """

    received: Mapping[str, int]
    sent: Mapping[str, int]
    edits: int
    confirmed: int
    first_sent_ms: float | None
    last_confirmed_ms: float | None
    is_synced: bool
    should_connect: bool


class NodeDriver:
    """The process. Commands of one driver run side by side: a client that waits holds up no other."""

    def __init__(self, process: Process, tasks: TaskGroup) -> None:
        assert process.stdin
        assert process.stdout
        self._process = process
        self._stdin = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)
        self._sequence = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        tasks.start_soon(self._read_answers)

    async def call(self, command: str, **arguments: object) -> Any:
        """The command's result. Raises ClientError."""
        sequence = next(self._sequence)
        pending = self._pending[sequence] = _Pending()
        line = json.dumps({"seq": sequence, "command": command, **arguments}) + "\n"
        await self._stdin.send(line.encode())
        await pending.is_answered.wait()
        if pending.error is not None:
            raise ClientError(f"{command}: {pending.error}")
        return pending.result

    async def connect(
        self,
        url: str,
        room: str,
        *,
        name: str,
        token: str | None = None,
        version: ProviderVersion = "3",
        **options: object,
    ) -> "NodeClient":
        """A new client called `name` in awareness. `options` go to the provider's constructor as they are."""
        client = NodeClient(self, next(self._sequence), name)
        await client.call(
            "connect",
            url=url,
            room=room,
            version=version,
            params={} if token is None else {"token": token},
            awareness={"user": {"name": name}},
            options=options,
        )
        return client

    def kill(self) -> None:
        """SIGKILL: every client in it vanishes without a word."""
        self._process.kill()

    async def _read_answers(self) -> None:
        try:
            while True:
                line = await self._answers.receive_until(b"\n", _MAX_ANSWER_BYTES)
                answer = json.loads(line)
                self._pending.pop(answer["seq"]).answer(answer.get("result"), answer.get("error"))
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError):
            for pending in self._pending.values():
                pending.answer(None, "the Node process has ended")


class _Pending:
    """A command that has not been answered."""

    def __init__(self) -> None:
        self.is_answered = anyio.Event()
        self.result: Any = None
        self.error: str | None = None

    def answer(self, result: Any, error: str | None) -> None:
        self.result, self.error = result, error
        self.is_answered.set()


class NodeClient:
    """One stock provider on one document. Waits raise ClientError when `timeout_seconds` have passed."""

    def __init__(self, driver: NodeDriver, client_id: int, name: str) -> None:
        self._driver = driver
        self._id = client_id
        self.name = name

    async def call(self, command: str, **arguments: object) -> Any:
        return await self._driver.call(command, id=self._id, **arguments)

    async def _wait(self, command: str, timeout_seconds: float, **arguments: object) -> Any:
        return await self.call(command, timeout_ms=timeout_seconds * 1000, **arguments)

    async def synced(self) -> Self:
        await self.wait_synced()
        return self

    async def insert(self, index: int, text: str) -> None:
        await self.call("insert", index=index, text=text)

    async def delete(self, index: int, length: int) -> None:
        await self.call("delete", index=index, length=length)

    async def text(self) -> str:
        return str(await self.call("text"))

    async def wait_text(self, text: str, timeout_seconds: float = WAIT_SECONDS) -> None:
        await self._wait("wait_text", timeout_seconds, text=text)

    async def wait_synced(self, timeout_seconds: float = WAIT_SECONDS) -> None:
        await self._wait("wait_synced", timeout_seconds)

    async def wait_confirmed(self, count: int | None = None, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Until so many of this client's edits have come back from the server, by default all of them."""
        await self._wait("wait_confirmed", timeout_seconds, count=count)

    async def disconnect(self) -> None:
        """Go offline the way an application would; the provider says goodbye."""
        await self.call("disconnect")

    async def reconnect(self) -> None:
        await self.call("reconnect")

    async def destroy(self) -> None:
        """Leave for good."""
        await self.call("destroy")

    async def sever(self) -> None:
        """Lose the network: no close frame, and the provider comes back by itself."""
        await self.call("sever")

    async def use_token(self, token: str) -> None:
        """From the next connection on."""
        await self.call("set_params", params={"token": token})

    async def events(self) -> list[dict[str, Any]]:
        return list(await self.call("events"))

    async def wait_event(
        self, name: str, after: int = 0, timeout_seconds: float = WAIT_SECONDS
    ) -> dict[str, Any]:
        """The first event of this name, the first `after` events of any name left out."""
        return dict(await self._wait("wait_event", timeout_seconds, name=name, after=after))

    async def stats(self) -> Stats:
        return Stats(**await self.call("stats"))

    async def set_awareness(self, state: Mapping[str, object] | None) -> None:
        await self.call("set_awareness", state=state)

    async def present(self) -> list[str]:
        """The names in all awareness states that this client knows, its own included."""
        return list(await self.call("present"))

    async def wait_present(self, *names: str, timeout_seconds: float = WAIT_SECONDS) -> None:
        await self._wait("wait_present", timeout_seconds, names=names)

    async def wait_state(self, *, timeout_seconds: float = WAIT_SECONDS, **fields: object) -> None:
        """Until somebody's awareness state has these fields, other fields aside."""
        await self._wait("wait_state", timeout_seconds, fields=fields)

    async def start_typing(self, *, seed: int, interval_ms: float = 5) -> None:
        """Type tokens at seeded random places until told to stop; started again, it goes on as it would have."""
        await self.call("start_typing", name=self.name, seed=seed, interval_ms=interval_ms)

    async def stop_typing(self) -> None:
        await self.call("stop_typing")

    async def typed(self) -> list[Typed]:
        return [Typed(**token) for token in await self.call("typed")]

    async def replay(
        self, trace_file: Path, *, agent: int | None = None, client_ids: Sequence[int] = ()
    ) -> None:
        """Type a trace, or one agent's part of a concurrent one, without waiting for the server's echoes."""
        await self.call("replay", file=str(trace_file), agent=agent, client_ids=client_ids)

    async def echo_latencies_ms(self, count: int, timeout_seconds: float = WAIT_SECONDS) -> list[float]:
        """From an edit to its echo, one edit at a time."""
        return list(await self._wait("echo_latencies", timeout_seconds, count=count))


@asynccontextmanager
async def node_driver() -> AsyncIterator[NodeDriver]:
    """A running driver; its clients end with it."""
    command = ["node", str(HERE / "clients" / "driver.mjs")]
    async with await anyio.open_process(command, stderr=None) as process, anyio.create_task_group() as tasks:
        try:
            yield NodeDriver(process, tasks)
        finally:
            if process.returncode is None:
                process.kill()
            tasks.cancel_scope.cancel()
