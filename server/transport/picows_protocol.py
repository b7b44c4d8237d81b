"""uvicorn's WebSocket protocol class: from the upgrade request to an accepted socket.

An endpoint of ours takes the fast path through `scope["extensions"][FAST_PATH]` (see `open_socket`): its
coroutine ends and callbacks carry on. Any other ASGI application speaks receive and send (`asgi_conversation`).
Nothing here logs a URL: its query may hold a token.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected, get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import ABNORMAL_CLOSURE, NORMAL_CLOSURE
from server.transport.asgi_conversation import AsgiConversation
from server.transport.outbox import Slices
from server.transport.picows_socket import PicowsSocket
from server.transport.socket import SocketListener
from server.transport.upgrade import UpgradeError, UpgradeRequest, http_response, parse_upgrade

FAST_PATH = "costudio.socket"
"""The ASGI extension whose `accept` gives a Socket."""

MAX_EARLY_BYTES = 64 * 1024
"""What a client may send before it is accepted. Reading stops there, and with it the notice that it left."""

logger = logging.getLogger(__name__)


def websocket_protocol(*, close_timeout_seconds: float = 5.0) -> type["PicowsProtocol"]:
    """The class for uvicorn's `ws`, with these settings."""
    return type(
        "PicowsProtocol",
        (PicowsProtocol,),
        {"close_timeout_seconds": close_timeout_seconds, "slices": Slices()},
    )


class PicowsProtocol(asyncio.Protocol):
    """One handshake, as uvicorn's HTTP protocol hands it over; gone once it is answered."""

    close_timeout_seconds: ClassVar[float] = 5.0
    slices: ClassVar[Slices]

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._transport: asyncio.Transport
        self._request: UpgradeRequest | None = None
        self._conversation: AsgiConversation | None = None
        self._socket: PicowsSocket | None = None
        self._answered = False
        self._early = bytearray()

    # What uvicorn and the transport call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        self._transport = transport
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # its type names its own protocols

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            self._begin(data)
        elif not self._answered:
            self._early += data
            if len(self._early) > MAX_EARLY_BYTES:
                self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server_state.connections.discard(self)
        if self._conversation is not None:
            self._conversation.on_closed(ABNORMAL_CLOSURE)

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops."""
        self.refuse(503, [], b"the server is restarting")

    def _begin(self, data: bytes) -> None:
        try:
            self._request = parse_upgrade(data)
        except UpgradeError as refused:
            self._answer(refused.response)
            self._transport.close()
            return
        self._conversation = AsgiConversation(self, self._config.ws_max_size)
        scope = self._request.scope(self._config.root_path) | {
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "scheme": "wss" if is_ssl(self._transport) else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}, FAST_PATH: self},
        }
        task = asyncio.get_running_loop().create_task(self._run(scope, self._conversation))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    async def _run(self, scope: dict[str, Any], conversation: AsgiConversation) -> None:
        failed = True
        try:
            await self._config.loaded_app(scope, conversation.receive, conversation.send)
            failed = False
        except ClientDisconnected:
            failed = False
        except Exception:
            logger.exception("exception in ASGI application")
        finally:
            if not self._answered:
                self.refuse(500, [], b"Internal Server Error")
            elif self._socket is not None and (failed or conversation.is_open):
                self._socket.close(CloseCode.INTERNAL_ERROR if failed else NORMAL_CLOSURE)
            self._conversation = None  # they hold each other

    # What answers the handshake

    def accept(
        self,
        listener: SocketListener,
        max_message_bytes: int,
        subprotocol: str | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> PicowsSocket:
        """Accept on behalf of `listener`. If the client has left meanwhile, the socket is a closed one.

        Raises RuntimeError if the handshake has been answered, ValueError for a line break in a header.
        """
        is_here = not self._transport.is_closing()
        if is_here:
            assert self._request is not None
            defaults = self._server_state.default_headers
            self._answer(self._request.response(subprotocol, [*defaults, *headers]))
        self._answered = True
        self._server_state.connections.discard(self)
        self._socket = PicowsSocket(
            self._transport,
            listener,
            self._server_state.connections,
            slices=self.slices,
            max_message_bytes=max_message_bytes,
            close_timeout_seconds=self.close_timeout_seconds,
            early=bytes(self._early),
        )
        return self._socket

    def refuse(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer with an HTTP response instead. Raises as `accept` does."""
        if not self._transport.is_closing():
            self._answer(http_response(status, [*self._server_state.default_headers, *headers], body))
            self._transport.close()
        self._answered = True

    def _answer(self, response: bytes) -> None:
        if self._answered:
            raise RuntimeError("the handshake has been answered")
        self._answered = True
        self._transport.write(response)
