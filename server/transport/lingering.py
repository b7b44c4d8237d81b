"""Letting go of a TCP connection so that the last bytes sent to it arrive.

Closing a socket while unread bytes stand in its receive buffer resets the connection, and a reset discards what
the peer has not read yet: our close frame. So we only say that we are done, and discard until the peer is too.
"""

import asyncio
from collections.abc import Callable
from typing import Final

_SCRATCH: Final = memoryview(bytearray(16 * 1024))
"""Where discarded bytes go, of all connections alike."""


def linger(transport: asyncio.Transport, lost: Callable[[], None]) -> None:
    """Send what is buffered, then FIN; call `lost` once the peer has closed. The caller limits the time."""
    if transport.is_closing():
        return
    transport.set_protocol(_Lingering(lost))
    if transport.can_write_eof():
        try:
            transport.write_eof()
        except OSError:  # the peer is gone already
            transport.abort()
        else:
            transport.resume_reading()
    else:  # TLS: its close_notify does this
        transport.close()


class _Lingering(asyncio.BufferedProtocol):
    __slots__ = ("_lost",)

    data_received = None
    """uvloop keeps the bound method of the protocol before, and so that protocol, if there is none."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost

    def get_buffer(self, sizehint: int) -> memoryview:
        return _SCRATCH

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
