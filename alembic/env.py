"""Run by Alembic: on the connection that `crdt_store.migrations` hands over, else on DATABASE_URL."""

import os

from sqlalchemy import Connection, create_engine, make_url

from alembic import context
from crdt_store.tables import metadata


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def database_url() -> str:
    url = os.environ["DATABASE_URL"]
    if "://" not in url:
        return f"sqlite:///{url}"
    parsed = make_url(url)
    return parsed.set(drivername=parsed.get_backend_name()).render_as_string(hide_password=False)


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(database_url()).begin() as opened:
        run(opened)
