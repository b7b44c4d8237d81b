"""Real clients against a real server: the processes that these tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.node_client import HERE, NodeDriver, node_driver
from tests.npm_packages import install_packages
from tests.server_process import ServerProcess, running_server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _npm_packages() -> None:
    install_packages(HERE)


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """One server for a module; its tests keep to rooms of their own."""
    async with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server for one test, which may do with it what it likes."""
    async with running_server(tmp_path) as server:
        yield server


@pytest.fixture
async def driver(anyio_backend: str) -> AsyncIterator[NodeDriver]:
    async with node_driver() as driver:
        yield driver


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A plain file name that no other test uses; with what a URL has to carry encoded."""
    return f"tests/{request.node.name} день"
