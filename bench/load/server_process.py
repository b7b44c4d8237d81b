"""One server under test: started on its own CPU, waited for, stopped."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.load.frames import upgrade_request
from bench.load.server_kinds import ServerKind

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_LOG_TAIL_BYTES = 2000


class ServerError(Exception):
    """A server did not start or ended by itself; the message holds the end of its log."""


_CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _run_on(cpus: Sequence[int]) -> None:
    """Where this thread and what it starts may run from now on. Nothing where there is no choice."""
    if len(_CPUS) > 1:
        os.sched_setaffinity(0, cpus)


class ServerProcess:
    """A context manager: the server has the first CPU, the caller the second one until it is stopped.

    The folder of its data goes with it.
    """

    def __init__(self, kind: ServerKind, *, stored: bool = False) -> None:
        self.kind = kind
        self.port = _free_port()
        self._stored = stored
        self._folder = tempfile.TemporaryDirectory(prefix="costudio-bench-")
        self._data_dir = Path(self._folder.name)
        self._environment = kind.environment_for(self.port, self._data_dir, stored=stored)
        self._token = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ServerProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        _run_on(_CPUS)
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process
        return self._process.pid

    def request(self, room: str) -> bytes:
        """A client's handshake."""
        target = self.kind.target.replace("{room}", room).replace("{token}", self._token)
        return upgrade_request(self.port, target)

    def start(self) -> None:
        """Return when it takes connections. Raises ServerError."""
        if self.kind.token_command and not self._token:
            token = subprocess.run(
                self._command(self.kind.token_command), env=self._environment, check=True, capture_output=True
            )
            self._token = token.stdout.decode().strip()
        _run_on(_CPUS[:1])
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(self.kind.command),
                cwd=self._data_dir,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _run_on(_CPUS[1:2])
        ends_at = time.monotonic() + _START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > ends_at:
                raise ServerError(f"{self.kind.name} does not listen\n{self.log_tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for who does not heed it."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log_tail(self) -> str:
        """The end of what it printed."""
        return self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    @property
    def _log(self) -> Path:
        return self._data_dir / "server.log"

    def _command(self, parts: tuple[str, ...]) -> list[str]:
        return [self.kind.fill(part, self.port, self._data_dir) for part in parts]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
