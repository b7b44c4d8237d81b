"""Stock Yjs for the tests of chat threads."""

from collections.abc import Iterator

import pytest

from tests.chat.yjs import Yjs
from tests.interop.node_client import HERE as PACKAGES
from tests.npm_packages import install_packages


@pytest.fixture(scope="session")
def yjs_process() -> Iterator[Yjs]:
    install_packages(PACKAGES)
    with Yjs() as process:
        yield process


@pytest.fixture
def yjs(yjs_process: Yjs) -> Iterator[Yjs]:
    """The process, without replicas."""
    yield yjs_process
    yjs_process.clear()
