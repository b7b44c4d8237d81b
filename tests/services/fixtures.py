"""Fixtures of the services that tests use; a `conftest.py` imports them."""

from collections.abc import Iterator

import pytest

from crdt_store.migrations import migrate
from tests.services.postgres import PostgresServer, postgres_server

__all__ = ["empty_postgres_url", "postgres", "postgres_template", "postgres_url"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server. One that does not start is a failure of every test that needs it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database with tables and nothing in them."""
    with postgres.database() as name:
        migrate(postgres.url(name))
        yield name


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """The URL of a database with tables and nothing in them."""
    with postgres.database(f"TEMPLATE {postgres_template}") as name:
        yield postgres.url(name)


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a database without tables."""
    with postgres.database() as name:
        yield postgres.url(name)
