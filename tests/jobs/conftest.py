"""Databases, as the tests of the store have them."""

from tests.crdt_store.conftest import database, database_url, empty_database, kind, path, sqlite_url
from tests.services.fixtures import empty_postgres_url, postgres, postgres_template, postgres_url

__all__ = [
    "database",
    "database_url",
    "empty_database",
    "empty_postgres_url",
    "kind",
    "path",
    "postgres",
    "postgres_template",
    "postgres_url",
    "sqlite_url",
]
