"""All rows of one database in another one, whatever kind each of them is."""

from collections.abc import Callable

from sqlalchemy import Connection, Table, delete, func, insert, select

from crdt_store.message_search import forget_all, remember_all
from crdt_store.row_ids import last_ids, set_last_ids
from crdt_store.tables import metadata, presence_nodes

_ROWS_AT_ONCE = {"snapshots": 4, "history": 50}  # as large as they may be
_OTHER_ROWS_AT_ONCE = 200

_TRANSIENT = (presence_nodes,)
"""What a server writes by itself as soon as it runs."""


def occupied_tables(connection: Connection) -> list[str]:
    """The tables in which there is anything that somebody may miss."""
    return [
        table.name
        for table in metadata.sorted_tables
        if table not in _TRANSIENT and connection.execute(select(table).limit(1)).first() is not None
    ]


def clear_tables(connection: Connection) -> None:
    """Remove every row."""
    forget_all(connection)
    for table in reversed(metadata.sorted_tables):
        connection.execute(delete(table))


def count_rows(connection: Connection) -> int:
    """Of all tables."""
    return sum(_count(connection, table) for table in metadata.sorted_tables)


def copy_tables(source: Connection, target: Connection, on_rows: Callable[[int], None]) -> None:
    """Into tables that are empty, with the words of messages and the numbers of rows to come.

    `on_rows` is told how many are done, again and again.
    """
    for table in metadata.sorted_tables:
        at_once = _ROWS_AT_ONCE.get(table.name, _OTHER_ROWS_AT_ONCE)
        rows = source.execute(select(table), execution_options={"yield_per": at_once})
        for batch in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in batch])
            on_rows(len(batch))
    set_last_ids(target, last_ids(source))
    remember_all(target)


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0
