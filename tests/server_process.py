"""A real `costudio serve` for tests and benchmarks: started, killed, started again on its port and data."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
from anyio.abc import Process

COSTUDIO = Path(sys.executable).with_name("costudio")
START_SECONDS = 30.0
STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02
_LOG_TAIL_BYTES = 4000


class ServerError(Exception):
    """The server did not start, or ended by itself; the message holds the end of its log."""


class ServerProcess:
    """One server in development mode on loopback. `settings` are environment variables for it."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.websocket_url = f"ws://127.0.0.1:{self.port}/ws"
        self._environment = _clean_environment() | dict(settings or {})
        self._process: Process | None = None
        self._tokens: dict[tuple[str, ...], str] = {}

    async def start(self) -> None:
        """Return when the server answers. Raises ServerError."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        command = [str(COSTUDIO), "serve", *address, "--data-dir", str(self.data_dir), "--dev"]
        with self._log_file.open("ab") as log:
            self._process = await anyio.open_process(
                command,
                cwd=self.data_dir,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            with anyio.fail_after(START_SECONDS):
                await self._wait_healthy(self._process)
        except TimeoutError:
            await self.kill()
            raise ServerError(f"no answer within {START_SECONDS} s\n{self.log_tail()}") from None

    async def kill(self) -> None:
        """SIGKILL, and return once the process is gone: what it had not committed is lost."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            with anyio.CancelScope(shield=True):
                await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit code. Raises ServerError when it does not end in time."""
        assert self._process
        self._process.terminate()
        try:
            with anyio.fail_after(STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise ServerError(f"still there {STOP_SECONDS} s after SIGTERM\n{self.log_tail()}") from None

    async def restart(self) -> None:
        """Stop in good order and start again."""
        await self.stop()
        await self.start()

    async def token(
        self, user: str, *, role: str | None = None, room: str | None = None, ttl_seconds: int | None = None
    ) -> str:
        """What `costudio token` prints; the same question is asked once."""
        options = {"--role": role, "--room": room, "--ttl": None if ttl_seconds is None else str(ttl_seconds)}
        given = [part for name, value in options.items() if value is not None for part in (name, value)]
        question = (user, *given)
        if question not in self._tokens:
            command = [str(COSTUDIO), "token", *question, "--data-dir", str(self.data_dir)]
            answer = await anyio.run_process(command, cwd=self.data_dir, env=self._environment)
            self._tokens[question] = answer.stdout.decode().strip()
        return self._tokens[question]

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def log_tail(self) -> str:
        return self._log_file.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    @property
    def _log_file(self) -> Path:
        return self.data_dir / "server.log"

    async def _wait_healthy(self, process: Process) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, verify=False) as http:
            while True:
                if process.returncode is not None:
                    raise ServerError(f"ended with {process.returncode}\n{self.log_tail()}")
                try:
                    if (await http.get("/api/health")).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:  # not listening yet
                    pass
                await anyio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def running_server(
    data_dir: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[ServerProcess]:
    """A started server that is gone afterwards, however the block ends."""
    server = ServerProcess(data_dir, settings)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _clean_environment() -> dict[str, str]:
    """This process's environment without what would configure a server."""
    ours = ("COSTUDIO_", "DATABASE_URL", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
