"""What a socket has to say: little things of one turn leave together, large ones in slices.

uvloop's `transport.write` asks the kernel at once, which costs more than all the rest of a small message; and what
the kernel takes of a large one, for each of many receivers, would hold the event loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable

SLICE_BYTES = 32 * 1024
_TURN_BYTES = 2**20
"""What all slices of one turn hold: about a millisecond."""


class Slices:
    """Whose next slice is to be written: the outboxes of one event loop, in turns."""

    def __init__(self) -> None:
        self._waiting: deque[Outbox] = deque()
        self._is_scheduled = False

    def add(self, outbox: "Outbox") -> None:
        """It has something to slice, and its transport has room."""
        self._waiting.append(outbox)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        try:
            for _ in range(min(len(self._waiting), _TURN_BYTES // SLICE_BYTES)):
                outbox = self._waiting.popleft()
                if outbox.say_slice():
                    self._waiting.append(outbox)
        finally:
            self._schedule()


class Outbox:
    """In front of a transport, of which it expects to hear when its buffer has become empty (`drained`).

    `on_empty` is called when all has left, after something could not leave at once.
    """

    __slots__ = (
        "_gathered",
        "_gathered_bytes",
        "_has_to_tell",
        "_is_queued",
        "_on_empty",
        "_rest",
        "_slices",
        "_transport",
    )

    def __init__(self, transport: asyncio.Transport, slices: Slices, on_empty: Callable[[], None]) -> None:
        if not transport.is_closing():
            transport.set_write_buffer_limits(0, 0)
        self._transport = transport
        self._slices = slices
        self._on_empty = on_empty
        self._gathered: list[bytes] | None = None  # leaves at the end of this turn
        self._gathered_bytes = 0
        self._rest: deque[memoryview] | None = None  # leaves before that, slice by slice
        self._is_queued = self._has_to_tell = False

    @property
    def buffered_bytes(self) -> int:
        """What has not yet reached the kernel."""
        rest_bytes = 0 if self._rest is None else sum(map(len, self._rest))
        return self._transport.get_write_buffer_size() + self._gathered_bytes + rest_bytes

    def add(self, wire: bytes) -> None:
        """Say it with what else is said in this turn."""
        self._gathered_bytes += len(wire)
        if self._gathered is None:
            self._gathered = [wire]
            asyncio.get_running_loop().call_soon(self._end_turn)
        else:
            self._gathered.append(wire)

    def add_now(self, wire: bytes) -> int:
        """Say it at once, if nothing else is to be said first; returns `buffered_bytes`."""
        if self._gathered is None and self._rest is None and len(wire) <= SLICE_BYTES:
            if self._transport.is_closing():
                return 0
            self._transport.write(wire)
            return self._transport.get_write_buffer_size()
        self.add(wire)
        self._has_to_tell = True
        return self.buffered_bytes

    def drained(self) -> None:
        """The transport's buffer is empty."""
        self._has_to_tell = True
        if self._rest is None:
            self._tell()
        else:
            self._queue()

    def say_slice(self) -> bool:
        """Say one slice; returns whether there is more, and room for it."""
        rest = self._rest
        self._is_queued = False
        if rest is None:
            return False
        first = rest[0]
        self._say(first[:SLICE_BYTES])
        if len(first) > SLICE_BYTES:
            rest[0] = first[SLICE_BYTES:]
        else:
            rest.popleft()
        if not rest:
            self._rest = None
            self._tell()
            return False
        self._is_queued = not self._transport.get_write_buffer_size()
        return self._is_queued

    def flush(self) -> None:
        """Give all of it to the transport: this socket says no more."""
        rest, self._rest = self._rest or (), None
        for wire in rest:
            self._say(wire)
        self._say(self._take_gathered())

    def clear(self) -> None:
        """The transport is gone."""
        self._gathered = self._rest = None
        self._gathered_bytes = 0
        self._on_empty = _nothing  # it may refer to who refers to this

    def _end_turn(self) -> None:
        wire = self._take_gathered()
        if not wire:  # flushed since
            return
        if self._rest is not None:
            self._rest.append(memoryview(wire))
        elif len(wire) <= SLICE_BYTES:
            self._say(wire)
            self._tell()
        else:
            self._rest = deque([memoryview(wire)])
            self._has_to_tell = True
            self._queue()

    def _queue(self) -> None:
        if not self._is_queued and not self._transport.get_write_buffer_size():
            self._is_queued = True
            self._slices.add(self)

    def _take_gathered(self) -> bytes:
        gathered, self._gathered = self._gathered, None
        self._gathered_bytes = 0
        if not gathered:
            return b""
        return gathered[0] if len(gathered) == 1 else b"".join(gathered)

    def _say(self, wire: bytes | memoryview) -> None:
        if wire and not self._transport.is_closing():
            self._transport.write(wire)

    def _tell(self) -> None:
        if self._has_to_tell and not self.buffered_bytes:
            self._has_to_tell = False
            self._on_empty()


def _nothing() -> None: ...
