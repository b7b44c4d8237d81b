"""pycrdt-websocket on uvicorn, as its documentation has it, at its fastest: uvloop, no compression, no access log.

Environment: PORT, and STORE_FILE if it shall keep its documents, in its SQLite store.
"""

import os
from contextlib import suppress
from typing import Any

import uvicorn
from pycrdt.store import SQLiteYStore, YDocNotFound
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom


class Store(SQLiteYStore):
    """All documents in one file."""

    db_path = os.environ.get("STORE_FILE", "")


class StoringServer(WebsocketServer):
    """A room is ready once what is stored of it is applied."""

    async def get_room(self, name: str) -> YRoom:
        """The room of this name, loaded if it is new."""
        if name not in self.rooms:
            store = Store(name)
            room = self.rooms[name] = YRoom(ready=False, ystore=store, log=self.log)
            await self.start_room(room)
            async with store.start_lock:
                if not store.started.is_set():
                    assert self._task_group
                    await self._task_group.start(store.start)
            with suppress(YDocNotFound):  # a new document
                await store.apply_updates(room.ydoc)
            room.ready = True
        room = self.rooms[name]
        await self.start_room(room)
        await room.ready_event.wait()
        return room


server = StoringServer() if Store.db_path else WebsocketServer()
rooms = ASGIServer(server)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The rooms, which live as long as the application."""
    if scope["type"] != "lifespan":
        await rooms(scope, receive, send)
        return
    await receive()
    async with server:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        log_level="error",
        access_log=False,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="on",
        backlog=4096,
    )
