"""People of a chat for `bench.chat`: connections that do no more than they have to, so that many fit in a process."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from pycrdt import Array, Doc, Map

from auth.grants import Role
from auth.minting import TokenMinter
from bench.load.frames import BINARY, PING, PONG, masked_frame, split_frames, upgrade_request
from server.protocol.websocket_frames import TEXT
from server.protocol.yjs_messages import sync_step_1, update_message

ROOM = "chat:1"
_TOKEN_SECONDS = 3600.0


class Person(asyncio.Protocol):
    """One WebSocket; `hear` gets the payload of each frame but pings, which are answered."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self.received_bytes = self.received_frames = 0
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.hear = hear
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if not self.opened.done():
            head, separator, self._rest = self._rest.partition(b"\r\n\r\n")
            if not separator:
                self._rest = head
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self.opened.set_result(None)
        frames, self._rest = split_frames(self._rest)
        self.received_bytes += len(data)
        for first_byte, payload in frames:
            if first_byte == PING:
                self.write(payload, PONG)
            else:
                self.received_frames += 1
                self.hear(payload)

    def write(self, payload: bytes, first_byte: int) -> None:
        """Send one frame."""
        assert self._transport
        self._transport.write(masked_frame(payload, first_byte))


async def connect(port: int, target: str, hear: Callable[[bytes], None]) -> Person:
    """A person whose handshake is done."""
    loop = asyncio.get_running_loop()
    transport, person = await loop.create_connection(lambda: Person(hear), "127.0.0.1", port)
    transport.write(upgrade_request(port, target))
    await person.opened
    return person


class JsonPerson:
    """Somebody on /events, in the room. `acked_at` and `heard_at`: message id -> when, in seconds."""

    def __init__(self) -> None:
        self.acked_at: dict[str, float] = {}
        self.heard_at: dict[str, float] = {}
        self.on_ack: Callable[[], None] = lambda: None
        self.on_message: Callable[[int], None] = lambda seq: None
        self.user_id = 0
        self.person: Person
        self._answer: asyncio.Future[Mapping[str, Any]]

    async def join(self, port: int, tokens: TokenMinter, user: str) -> "JsonPerson":
        self.person = await connect(port, f"/events?token={token(tokens, user)}", self._hear)
        self.user_id = (await self._ask("connect", {}))["user_id"]
        await self._ask("join_room", {"room": ROOM})
        return self

    async def _ask(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        self._answer = asyncio.get_running_loop().create_future()
        self.send(kind, payload, "asked")
        return await self._answer

    def send(self, kind: str, payload: Mapping[str, Any], event_id: str | None = None) -> None:
        event = {"type": kind, "payload": payload} | ({} if event_id is None else {"id": event_id})
        self.person.write(json.dumps(event).encode(), TEXT)

    def say(self) -> tuple[str, float]:
        """A message; its id and when it was sent."""
        message_id = str(uuid.uuid4())
        sent_at = time.perf_counter()
        self.send("message", {"room": ROOM, "id": message_id, "body": "Build 118 is up"}, message_id)
        return message_id, sent_at

    def _hear(self, payload: bytes) -> None:
        now = time.perf_counter()
        event = json.loads(payload)
        if event["type"] == "ack":
            if event["id"] == "asked":
                self._answer.set_result(event["payload"])
            else:
                self.acked_at[event["id"]] = now
                self.on_ack()
        elif event["type"] == "error":
            raise AssertionError(event)
        elif event["type"] == "message":
            self.heard_at[event["payload"]["id"]] = now
            self.on_message(event["payload"]["seq"])


class YjsPerson:
    """A replica on /ws. `heard_at`: message id -> when an update with it came, in seconds."""

    def __init__(self, user_id: int) -> None:
        self.heard_at: dict[str, float] = {}
        self.awaited: set[str] = set()
        self.person: Person
        self._user_id = user_id
        self._doc: Doc[Any] = Doc()
        self._messages = self._doc.get("messages", type=Array)
        self._updates: list[bytes] = []
        self._subscription = self._doc.observe(lambda event: self._updates.append(event.update))

    async def join(self, port: int, tokens: TokenMinter, user: str) -> "YjsPerson":
        target = f"/ws/{quote(ROOM)}?token={token(tokens, user)}"
        self.person = await connect(port, target, self._hear)
        self.person.write(sync_step_1(b"\0"), BINARY)
        return self

    def say(self) -> tuple[str, float]:
        """A message; its id and when it was sent."""
        message_id = str(uuid.uuid4())
        fields = {"id": message_id, "sender_id": self._user_id, "body": "Build 118 is up", "sent_at": None}
        with self._doc.transaction():
            self._messages.append(Map(fields))
        sent_at = time.perf_counter()
        self.person.write(update_message(self._updates[-1]), BINARY)
        return message_id, sent_at

    def _hear(self, payload: bytes) -> None:
        now = time.perf_counter()
        for message_id in [each for each in self.awaited if each.encode() in payload]:
            self.awaited.discard(message_id)
            self.heard_at[message_id] = now


def token(tokens: TokenMinter, user: str) -> str:
    return tokens.mint(user, grants={"*": Role.EDITOR}, now_seconds=time.time(), ttl_seconds=_TOKEN_SECONDS)
