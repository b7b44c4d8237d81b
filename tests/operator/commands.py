"""The operator's commands, without the second that a process takes to start; also beside a running event loop."""

from functools import partial
from pathlib import Path

import anyio.to_thread
from typer.testing import CliRunner, Result

from server.cli import app

SECRET = "a secret for tests, long enough to sign with"


def costudio(*arguments: object, data_dir: Path, **environment: str) -> Result:
    """What the command says and how it ends."""
    given = [str(each) for each in arguments]
    return CliRunner().invoke(
        app,
        [*given, "--data-dir", str(data_dir)],
        env={"COSTUDIO_JWT_SECRET": SECRET, "DATABASE_URL": None, **environment},
    )


async def costudio_beside(*arguments: object, data_dir: Path, **environment: str) -> Result:
    """The same in a thread."""
    return await anyio.to_thread.run_sync(partial(costudio, *arguments, data_dir=data_dir, **environment))
