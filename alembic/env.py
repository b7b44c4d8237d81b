"""Run by Alembic: on the connection that `crdt_store.migrations` hands over, else on DATABASE_URL."""

import os

from sqlalchemy import URL, Connection, create_engine

from alembic import context
from crdt_store.engine import database_path, postgres_dsn
from crdt_store.postgres import run_in_transaction
from crdt_store.tables import is_compared, metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=True, include_name=is_compared
    )
    with context.begin_transaction():
        context.run_migrations()


def run_on_database_url() -> None:
    url = os.environ["DATABASE_URL"]
    dsn = postgres_dsn(url)
    if dsn is not None:
        run_in_transaction(dsn, run)
    else:
        with create_engine(URL.create("sqlite", database=str(database_path(url)))).begin() as opened:
            run(opened)


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    run_on_database_url()
