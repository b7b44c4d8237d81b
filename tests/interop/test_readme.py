"""The README's first edit, run as it stands."""

import re
import subprocess
from pathlib import Path

import anyio.to_thread

from tests.server_process import ServerProcess

README = Path(__file__).parents[2] / "README.md"
MODULES = Path(__file__).parent


async def test_the_first_edit_is_saved_and_ends(server: ServerProcess) -> None:
    (script,) = re.findall(r"```js\n(.*?)```", README.read_text(), re.DOTALL)
    script = script.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(
            ["node", "--input-type=module", "--eval", script],
            cwd=MODULES,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    )
    assert (done.stdout, done.stderr, done.returncode) == ("saved\n", "", 0)
