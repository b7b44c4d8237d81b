"""Accept a WebSocket the best way its server offers."""

from starlette.websockets import WebSocket

from server.transport.asgi_socket import AsgiSocket
from server.transport.picows_protocol import FAST_PATH
from server.transport.socket import Socket, SocketListener


async def open_socket(
    websocket: WebSocket, listener: SocketListener, *, max_message_bytes: int, subprotocol: str | None = None
) -> Socket:
    """Accept, and let `listener` speak: `await socket.detach()` is then the endpoint's last act.

    `websocket` has been neither accepted nor refused. Reading starts paused. If the client has left meanwhile,
    the socket is a closed one and `on_closed` comes as ever. A longer message than `max_message_bytes` costs the
    connection 1009.
    """
    fast_path = websocket.scope.get("extensions", {}).get(FAST_PATH)
    if fast_path is not None:
        socket: Socket = fast_path.accept(listener, max_message_bytes, subprotocol)
        return socket
    await websocket.accept(subprotocol)
    return AsgiSocket(websocket, listener, max_message_bytes=max_message_bytes)
