"""A process that edits and reports what it was acknowledged, until it is killed."""

import asyncio
from functools import partial
from multiprocessing.connection import Connection

import anyio

from crdt_store.engine import create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.sql import SqlUpdateLog

DOCUMENTS = ("a", "b", "c")
MAX_AHEAD = 50  # edits of a document that wait for their acknowledgement


def edit_for_ever(path: str, turn: int, acknowledged: Connection) -> None:
    """Send (document, position) for each acknowledgement; the data of an update is `turn:position`."""
    asyncio.run(_edit_for_ever(path, turn, acknowledged))


async def _edit_for_ever(path: str, turn: int, acknowledged: Connection) -> None:
    def committed(document: str, position: int) -> None:
        acknowledged.send((document, position))

    async with GroupCommit(SqlUpdateLog(create_engine(path)), max_pending_bytes=2**20) as commits:
        journals = [commits.journal(name, partial(committed, name), _give_up) for name in DOCUMENTS]
        while True:
            for journal in journals:
                if journal.submitted - journal.committed < MAX_AHEAD:
                    data = b"%d:%d" % (turn, journal.submitted + 1)
                    journal.append(data, author_id=None, client_ids=(turn,), received_at_ms=turn)
            await anyio.lowlevel.checkpoint()


def _give_up(failure: Exception) -> None:
    raise SystemExit(failure)
