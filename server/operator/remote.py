"""Writing to a document through a server, as any client does: what it refuses and tells others is as ever."""

from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from server.operator.errors import Refused
from server.protocol.contents import Contents
from server.protocol.update_shape import MalformedUpdate, check_update
from server.protocol.yjs_messages import Update, read_frame, sync_step_1, update_message
from server.rooms.names import RoomKind, RoomName

_TIMEOUT_SECONDS = 60.0
_NOTHING = b"\0"
_PERMISSION_DENIED = 2


def send_text(url: str, token: str, name: RoomName, text: str) -> bool:
    """Make the file say this, as docs/files.md has it; False if it says so already. Raises Refused."""
    if name.kind is not RoomKind.FILE:
        raise Refused(f"{name} is no file")
    path = f"/api/workspaces/{name.id}/files/{quote(name.canonical.partition('/')[2])}/content"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS) as http:
            found = http.get(path)
            if found.status_code == httpx.codes.NOT_FOUND:
                version = {"If-None-Match": "*"}
            else:
                _check(found)
                if found.content == text.encode():
                    return False
                version = {"If-Match": found.headers["ETag"]}
            _check(http.put(path, content=text.encode(), headers=version))
    except httpx.HTTPError as error:
        raise Refused(f"{url}: {error}") from error
    return True


def send_update(url: str, token: str, name: RoomName, update: bytes) -> None:
    """Merge a Yjs update into the document, as docs/wire.md has it; it is saved then. Raises Refused."""
    try:
        shape = check_update(update)
    except MalformedUpdate as error:
        raise Refused(f"this is no Yjs update: {error}") from error
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = f"{parts.path.rstrip('/')}/ws/{quote(name.canonical)}"
    address = urlunsplit((scheme, parts.netloc, path, urlencode({"token": token}), ""))
    try:
        with connect(address, max_size=None, open_timeout=_TIMEOUT_SECONDS) as connection:
            connection.send(update_message(update))
            connection.send(sync_step_1(_NOTHING))  # answered when what was sent before is saved
            while (held := _contents(connection.recv(timeout=_TIMEOUT_SECONDS))) is None:
                pass
    except ConnectionClosed as closed:
        reason = closed.rcvd.reason if closed.rcvd else "the connection broke"
        raise Refused(f"{name}: {reason}") from closed
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise Refused(f"{parts.netloc}: {error}") from error
    if held.adds(shape):
        raise Refused(
            f"{name} has not taken in all of it: it is locked, and the rest waits for that,"
            " or it lacks what the rest builds on"
        )


def _contents(frame: str | bytes) -> Contents | None:
    """What the document holds, if this is the answer. Raises Refused."""
    assert isinstance(frame, bytes)
    if frame[0] == _PERMISSION_DENIED:
        raise Refused(frame[3:].decode(errors="replace"))
    for message in read_frame(frame):
        if isinstance(message, Update) and message.is_reply:
            contents = Contents()
            contents.advance(check_update(message.data))
            return contents
    return None


def _check(answer: httpx.Response) -> None:
    """Raises Refused."""
    if not answer.is_success:
        raise Refused(f"{answer.status_code}: {answer.text}")
