"""A studio at work: something of everything that a database keeps, and a look at all of it."""

from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from auth.grants import Role
from crdt_store.compaction import compact
from crdt_store.engine import create_engine
from crdt_store.held_edits import HeldEdits
from crdt_store.long_transactions import read_at_length
from crdt_store.memberships import Memberships
from crdt_store.messages import NewMessage, append_event, insert_messages
from crdt_store.presence import PresenceStore, Seen
from crdt_store.projects import Projects
from crdt_store.sql import SqlUpdateLog
from crdt_store.tables import metadata
from crdt_store.tickets import Tickets
from crdt_store.update_log import Row, Update
from crdt_store.users import UserDirectory
from server.engine.condenser import Condenser
from tests.wire.client import Writer

NOW_MS = 1_800_000_000_000
FILES = [f"workspace:1/{name}.md" for name in ("empty", "plan", "Ünïcode 🎈")]
DELETED = "workspace:1/deleted.md"


async def furnish(database_url: str) -> None:
    """Into a database with tables and nothing in them."""
    database = create_engine(database_url)
    log = SqlUpdateLog(database)
    ada, bob = [await UserDirectory(database).id_of("i", each, each.title()) for each in ("ada", "bob")]
    projects = Projects(database)
    project = await projects.create_project("Étude\u2028", created_by=ada)
    await projects.create_workspace(project.id, "main")
    await Memberships(database).set_role(f"project:{project.id}", bob, int(Role.VIEWER), set_by=ada)
    for nth, name in enumerate([*FILES, DELETED]):
        writer = Writer(100 + nth)
        edits = [writer.type(f"{word} 🎈\n") for word in ("one", "two", "three")[: nth + 1]]
        await log.append([_row(name, ada, 100 + nth, edit) for edit in edits])
    await log.delete(DELETED, client_ids=[103])
    condenser = Condenser()
    await compact(log, condenser.condense, FILES[1])
    await condenser.aclose()
    await log.append([_row(FILES[1], bob, 7, Writer(7).type("after the snapshot"))])
    await HeldEdits(database, max_bytes=2**20, max_bytes_per_user=2**20).keep(
        FILES[0], bob, Writer(8).type("held"), NOW_MS
    )
    said = [NewMessage(f"u{nth}", ada, f"hello déjà {nth}", "", mentions=(bob,)) for nth in range(5)]
    await database.write(lambda connection: insert_messages(connection, 7, said, NOW_MS))
    await database.write(
        partial(append_event, room="chat:7", type="t", payload="{}", sender_id=ada, now_ms=1)
    )
    presence = PresenceStore(database, "node")
    await presence.begin(NOW_MS)
    await presence.save([Seen(ada, True, NOW_MS, "chat:7")])
    await Tickets(database).keep(b"digest", "{}", expires_at_seconds=9e9, now_seconds=0)
    await database.close()


def _row(name: str, author_id: int, client_id: int, edit: bytes) -> Row:
    return Row(name, author_id, (client_id,), (Update(edit, NOW_MS),))


def everything(database_url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables that have any, by table."""
    return read_at_length(database_url, _everything)


def _everything(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    tables = {
        table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
        for table in metadata.sorted_tables
    }
    return {name: rows for name, rows in tables.items() if rows}
