"""`python -m tests.browser.screenshots` makes the pictures in `docs/images` anew."""

import tempfile
from pathlib import Path

import anyio

from tests.browser.project import make_project
from tests.npm_packages import ROOT, build_page, install_packages
from tests.server_process import running_server

HERE = Path(__file__).parent
IMAGES = ROOT / "docs" / "images"


async def main() -> None:
    """Set the scene on a server of its own, and take the pictures."""
    install_packages(HERE)
    build_page()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        async with running_server(Path(data)) as server:
            await make_project(server)
            await anyio.run_process(
                ["node", str(HERE / "screenshots.mjs"), server.url, str(IMAGES)], stdout=None, stderr=None
            )


if __name__ == "__main__":
    anyio.run(main)
