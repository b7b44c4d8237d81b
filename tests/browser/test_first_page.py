"""The first page in a real browser: alice and bob in two tabs edit one file and see each other's cursor."""

import subprocess
from pathlib import Path

import anyio
import pytest

from tests.npm_packages import build_page, install_packages
from tests.server_process import running_server

HERE = Path(__file__).parent


@pytest.mark.slow
async def test_alice_and_bob_meet_on_the_first_page(tmp_path: Path) -> None:
    """Leaves `alice.png` and `bob.png` in pytest's temporary folder."""
    install_packages(HERE)
    build_page()
    async with running_server(tmp_path / "data") as server:
        command = ["node", str(HERE / "two_people.mjs"), server.url, str(tmp_path)]
        run = await anyio.run_process(command, check=False, stderr=subprocess.STDOUT)
    assert run.returncode == 0, run.stdout.decode()
