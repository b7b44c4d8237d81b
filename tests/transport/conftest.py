"""The transport is tested on both event loops: uvloop serves, asyncio's own is there where uvloop is not."""

from typing import Any

import pytest


@pytest.fixture(params=["uvloop", "asyncio"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}
