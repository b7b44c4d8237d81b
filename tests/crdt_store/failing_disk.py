"""SQLite connections that fail at a chosen step, as a driver on a broken disk does."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MESSAGES = ("disk I/O error", "database or disk is full")


@dataclass
class Fault:
    """Lets `steps_left` steps pass, fails at the next one, and (`persistent`) at all that follow."""

    message: str = MESSAGES[0]
    steps_left: int | None = None  # None: never
    persistent: bool = False
    failures: int = 0

    def step(self) -> None:
        if self.steps_left is None:
            return
        if self.steps_left > 0:
            self.steps_left -= 1
            return
        if not self.persistent:
            self.steps_left = None
        self.failures += 1
        raise sqlite3.OperationalError(self.message)


def failing_connection(fault: Fault) -> type[sqlite3.Connection]:
    """A connection class for `create_engine`; opening, every statement, fetch and commit is a step."""

    class FailingCursor(sqlite3.Cursor):
        def execute(self, *arguments: Any) -> Any:
            fault.step()
            return super().execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            fault.step()
            return super().executemany(*arguments)

        def fetchone(self) -> Any:
            fault.step()
            return super().fetchone()

        def fetchall(self) -> list[Any]:
            fault.step()
            return super().fetchall()

    class FailingConnection(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            fault.step()
            super().__init__(*arguments, **options)

        def cursor(self, factory: Any = FailingCursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, parameters: Iterable[Any] = ()) -> sqlite3.Cursor:  # type: ignore[override]
            fault.step()
            return super().execute(sql, tuple(parameters))

        def commit(self) -> None:
            if self.in_transaction:
                fault.step()
            super().commit()

    return FailingConnection
