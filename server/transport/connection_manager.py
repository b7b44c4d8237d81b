"""The Connection Manager: every open connection, kept alive while its client is, and ended when it is not."""

import asyncio
import math

from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import KEEPALIVE
from server.transport.connection import Connection

SWEEP_SECONDS = 2.0
"""y-sweet's client gives up after 3 s of silence while it waits for a status."""

STALE_SWEEPS = 5
"""A client of an earlier epoch that owes us its copy may be silent for so many; then it is sent away."""

_KEEPALIVE_FRAME = Frame(KEEPALIVE)


class ConnectionManager:
    """Counts sweeps, not time, so that a stall of this process is not taken for one of the clients'."""

    def __init__(
        self, *, keepalive_seconds: float, silence_close_seconds: float, lagging_close_seconds: float
    ) -> None:
        self._connections: set[Connection] = set()
        self._quiet_sweeps = max(1, math.floor(keepalive_seconds / SWEEP_SECONDS) - 1)
        self._silent_sweeps = math.ceil(silence_close_seconds / SWEEP_SECONDS)
        self._lagging_sweeps = math.ceil(lagging_close_seconds / SWEEP_SECONDS)

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Connection) -> None:
        """Watch over it until it is removed."""
        self._connections.add(connection)

    def remove(self, connection: Connection) -> None:
        """It has closed."""
        self._connections.discard(connection)

    async def run(self) -> None:
        """Sweep for as long as the server runs."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Look at every connection once."""
        for connection in tuple(self._connections):
            self._sweep(connection)

    def _sweep(self, connection: Connection) -> None:
        if connection.is_lagging:
            connection.lagging_sweeps += 1
            if connection.lagging_sweeps >= self._lagging_sweeps:
                connection.close(CloseCode.TRY_AGAIN_LATER, "too slow to read what it was sent")
            return
        connection.quiet_sweeps += 1
        if connection.quiet_sweeps >= self._quiet_sweeps or connection.awaits_status:
            connection.deliver(_KEEPALIVE_FRAME)
        if connection.is_paused:
            return
        connection.silent_sweeps += 1
        if connection.silent_sweeps == STALE_SWEEPS:
            connection.end_if_stale()
        if connection.silent_sweeps >= self._silent_sweeps:
            connection.abort()
        elif connection.silent_sweeps >= self._silent_sweeps // 2:
            connection.ping()
