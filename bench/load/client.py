"""One of the clients of a swarm: what it sends to come in, and what has come to it."""

import socket

from bench.load.coverage import Chunk, cursor_key


class Client:
    """One connection. `author` is the client id under which it writes, if it does."""

    __slots__ = (
        "has",
        "is_open",
        "nothing_new",
        "opened_at",
        "opening",
        "own",
        "received",
        "request",
        "rest",
        "room",
        "socket",
        "synced_at",
        "unsent",
    )

    def __init__(
        self, room: str, request: bytes, opening: bytes, nothing_new: bytes, author: int | None = None
    ) -> None:
        self.room = room
        self.own = (
            () if author is None else (author, cursor_key(author))
        )  # keys that count for the others only
        self.request, self.opening, self.nothing_new = request, opening, nothing_new
        self.has: dict[int, int] | None = {}  # by key, how much came; None: not looked at
        self.received: list[Chunk] | None = None  # kept where the text is to be compared
        self.reset()

    def reset(self) -> None:
        """As before it was opened, but for what it has."""
        self.socket: socket.socket | None = None
        self.is_open = False
        self.rest = self.unsent = b""
        self.opened_at = self.synced_at = 0.0
