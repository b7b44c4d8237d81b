"""The studio in a real browser: what several people do there at once, on one server that is killed meanwhile."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from tests.browser.project import make_project
from tests.npm_packages import build_page, install_packages
from tests.server_process import ServerProcess, running_server

HERE = Path(__file__).parent


@pytest.mark.slow
async def test_people_work_together_in_the_studio(tmp_path: Path) -> None:
    """`studio.mjs` tells what they do. Leaves screenshots in pytest's temporary folder."""
    install_packages(HERE)
    build_page()
    async with running_server(tmp_path / "data") as server:
        await make_project(server)
        command = ["node", str(HERE / "studio.mjs"), server.url, str(tmp_path)]
        async with await anyio.open_process(command, stderr=subprocess.STDOUT) as script:
            told = [line async for line in _obeyed(script, server)]
    assert script.returncode == 0, "\n".join([*told, server.log_tail()])


async def _obeyed(script: Process, server: ServerProcess) -> AsyncIterator[str]:
    """What the script says; the server is killed and started when it asks for that."""
    assert script.stdout
    assert script.stdin
    rest = ""
    async for text in TextReceiveStream(script.stdout):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            if line == "please kill the server":
                await server.kill()
            elif line == "please start the server":
                await server.start()
            else:
                yield line
                continue
            await script.stdin.send(b"done\n")
    yield rest
