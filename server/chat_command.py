"""`costudio chat ROOM`: a chat in the terminal, over the JSON protocol of docs/events.md."""

import asyncio
import json
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import typer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 15.0
_TRANSIENT = frozenset({"not_authenticated", "rate_limited", "unavailable", "room_closed", "internal"})
"""Errors after which trying again may help."""

_JOIN = "join"
Event = dict[str, Any]


class ChatEnded(Exception):
    """The server will not have us; the message says why."""


class ChatClient:
    """A member of one chat. What is typed is sent until the server has it, once, whatever connections break."""

    def __init__(self, url: str, room: str, token: str, show: Callable[[str], None]) -> None:
        """`url`: of the server, http or ws. `show` prints a line."""
        self._url = events_url(url)
        self._room = room
        self._token = token
        self._show = show
        self._last_seq: int | None = None
        self._names: dict[int, str] = {}
        self._unsent: dict[str, str] = {}  # message id -> body
        self._connection: ClientConnection | None = None  # while the room is joined
        self._settled = asyncio.Event()
        self._settled.set()

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Chat until the lines end and all are sent. Raises ChatEnded."""
        tasks = [asyncio.create_task(self._stay()), asyncio.create_task(self._send_all(lines))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            body = line.rstrip("\r\n")
            if body:
                message_id = str(uuid.uuid4())
                self._unsent[message_id] = body
                self._settled.clear()
                await self._send_message(message_id, body)
        await self._settled.wait()

    async def _stay(self) -> None:
        """Connect, and come back whenever the connection breaks."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            try:
                headers = {"Authorization": f"Bearer {self._token}"}
                async with connect(self._url, additional_headers=headers, max_size=None) as connection:
                    await self._join(connection)
                    while True:
                        await self._take(connection, json.loads(await connection.recv()))
                        pause_seconds = _FIRST_PAUSE_SECONDS
            except ConnectionClosed as closed:
                code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
                if 4400 <= code < 4500:
                    raise ChatEnded(reason) from closed
            except (OSError, InvalidHandshake, TimeoutError) as error:
                reason = str(error)
            finally:
                self._connection = None
            reason = printable(reason) or "the connection broke"
            self._show(f"* {reason}; trying again in {pause_seconds:g} s")
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    async def _join(self, connection: ClientConnection) -> None:
        join = {"room": self._room} | ({} if self._last_seq is None else {"last_seq": self._last_seq})
        await _say(connection, "join_room", join, _JOIN)

    async def _send_message(self, message_id: str, body: str) -> None:
        """Send it if we are in the room; else it is sent when we are."""
        if self._connection is not None:
            payload = {"room": self._room, "id": message_id, "body": body}
            with suppress(ConnectionClosed):  # it is sent again on the next one
                await _say(self._connection, "message", payload, message_id)

    async def _take(self, connection: ClientConnection, event: Event) -> None:
        kind, payload, event_id = event["type"], event["payload"], event.get("id")
        self._last_seq = max(self._last_seq or 0, payload.get("event_seq") or 0) or self._last_seq
        if kind == "ack" and event_id == _JOIN:
            await self._joined(connection, payload)
        elif kind == "ack" and event_id in self._unsent:
            self._sent(event_id)
        elif kind == "error":
            await self._refused(connection, payload, event_id)
        else:
            self._show_event(kind, payload, event["sender_id"])

    async def _joined(self, connection: ClientConnection, payload: Event) -> None:
        self._names |= {each["user_id"]: each["name"] or "somebody" for each in payload["members"]}
        names = ", ".join(sorted(printable(each["name"] or "somebody") for each in payload["members"]))
        if payload["gap"]:
            self._show("* some of what was said meanwhile is not shown")
        if self._last_seq is None or payload["gap"]:
            self._last_seq = payload["last_seq"]
        self._show(f"* in {self._room} as {payload['role']}, with {names}")
        self._connection = connection
        for message_id, body in tuple(self._unsent.items()):
            await self._send_message(message_id, body)

    def _sent(self, message_id: str) -> None:
        del self._unsent[message_id]
        if not self._unsent:
            self._settled.set()

    async def _refused(self, connection: ClientConnection, payload: Event, event_id: str | None) -> None:
        code, reason = payload["code"], printable(payload["reason"])
        if event_id == _JOIN and code not in _TRANSIENT:
            raise ChatEnded(reason)
        self._show(f"* {reason}")
        if event_id in self._unsent and code not in _TRANSIENT:
            self._sent(event_id)
        elif event_id is not None or code == "room_closed":
            self._connection = None
            await asyncio.sleep(_FIRST_PAUSE_SECONDS)
            await self._join(connection)  # what is not sent yet is sent then

    def _show_event(self, kind: str, payload: Event, sender_id: int | None) -> None:
        if kind == "user_joined":
            self._names[payload["user_id"]] = payload["name"] or "somebody"
        name = printable(self._names.get(payload.get("user_id") or sender_id or 0, "somebody"))
        if kind == "message":
            how = "" if payload.get("action", "send") == "send" else f"({printable(payload['action'])}) "
            self._show(f"{name}: {how}{printable(payload.get('body') or '')}")
        elif kind in _LINES:
            self._show(f"* {name} {_LINES[kind]}")


_LINES = {"user_joined": "is here", "user_left": "has left", "typing_start": "is typing"}


async def _say(connection: ClientConnection, kind: str, payload: Event, event_id: str) -> None:
    await connection.send(json.dumps({"type": kind, "payload": payload, "id": event_id}))


def printable(text: str) -> str:
    """What others wrote, without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)


def events_url(url: str) -> str:
    """Where the JSON protocol is spoken, for the address of a server."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/events", "", ""))


async def _typed_lines() -> AsyncIterator[str]:
    """Lines of standard input; a thread waits for them, and ends with the process."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        yield line


def chat(
    room: Annotated[str, typer.Argument(help="The room, such as chat:7.")],
    token: Annotated[str, typer.Option(envvar="COSTUDIO_TOKEN", help="Who you are; see `costudio token`.")],
    url: Annotated[str, typer.Option(help="Address of the server.")] = "http://127.0.0.1:8000",
) -> None:
    """Chat in the terminal: shows who is there and who types; each line that you enter is a message."""
    client = ChatClient(url, room, token, typer.echo)
    try:
        asyncio.run(client.run(_typed_lines()))
    except KeyboardInterrupt:
        typer.echo("")
    except ChatEnded as ended:
        typer.echo(f"costudio: {ended}", err=True)
        raise typer.Exit(1) from ended
