"""MemoryUpdateLog does what every update log does."""

import pytest

from crdt_store.memory import MemoryUpdateLog
from crdt_store.update_log import UpdateLog
from tests.acceptance.update_log_suite import OpenLog, UpdateLogSuite


class TestMemoryUpdateLog(UpdateLogSuite):
    @pytest.fixture
    def open_log(self) -> OpenLog:
        stored = MemoryUpdateLog()

        async def reopen() -> UpdateLog:
            return stored.reopen()

        return reopen
