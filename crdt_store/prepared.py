"""Statements of the hot path: compiled once for each database, then given to the driver as they are.

SQLAlchemy takes about 0.1 ms of CPU to execute one, which is most of what a commit costs; the driver takes 0.01.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement


class Prepared:
    """A statement whose parameters have names, and need no conversion on their way in or out."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, Sequence[str]]] = {}  # dialect -> (SQL, names by position)

    def fetch(self, connection: Connection, parameters: Mapping[str, Any]) -> list[Sequence[Any]]:
        """All rows that one execution returns."""
        sql, names = self._sql(connection)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(sql, tuple(parameters[name] for name in names))
            return list(cursor.fetchall())
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._wrapped(connection, sql, error) from error
        finally:
            cursor.close()

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each of these parameters."""
        sql, names = self._sql(connection)
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(sql, [tuple(row[name] for name in names) for row in rows])
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._wrapped(connection, sql, error) from error
        finally:
            cursor.close()

    def _sql(self, connection: Connection) -> tuple[str, Sequence[str]]:
        dialect = connection.dialect
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self._statement.compile(dialect=dialect)
            names: Sequence[str] = compiled.positiontup or ()  # type: ignore[attr-defined]
            found = self._compiled[dialect.name] = (str(compiled), names)
        return found

    @staticmethod
    def _wrapped(connection: Connection, sql: str, error: Exception) -> BaseException:
        """As SQLAlchemy raises it, so that a caller need not know which way a statement took."""
        dialect = connection.dialect
        is_disconnect = dialect.is_disconnect(error, connection.connection, None)  # type: ignore[arg-type]
        return DBAPIError.instance(
            sql,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=is_disconnect,
            dialect=dialect,
        )
