"""The last id that each table has given: kept where rows go and ids must never be given again."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from crdt_store.tables import metadata

_NUMBERED = {
    table.name: table.autoincrement_column.name
    for table in metadata.sorted_tables
    if table.autoincrement_column is not None
}
"""Table -> its column."""


def last_ids(connection: Connection) -> dict[str, int]:
    """Of each table that numbers its rows; 0 if it never had one."""
    found = dict.fromkeys(_NUMBERED, 0)
    if connection.dialect.name == "sqlite":
        kept = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
        return found | {name: seq for name, seq in kept if name in found}
    for table in found:
        last = f"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {_sequence(table)}"
        found[table] = connection.execute(text(last)).scalar_one()
    return found


def set_last_ids(connection: Connection, ids: Mapping[str, int]) -> None:
    """The next row of each of these tables gets the id after. In PostgreSQL a rollback does not undo it."""
    for table, last in ids.items():
        if connection.dialect.name == "sqlite":
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
            kept = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
            connection.execute(kept, {"name": table, "last": last})
        else:
            advance = text(f"SELECT setval('{_sequence(table)}', :next, false)")
            connection.execute(advance, {"next": last + 1})


def _sequence(table: str) -> str:
    return f"{table}_{_NUMBERED[table]}_seq"
