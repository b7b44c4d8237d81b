"""The one table of WebSocket close codes. docs/close-codes.md is tested against it.

y-websocket 3.1 and later stop for good at 4400-4499 and come back after every other code, so a condition that
may pass never uses that range.
"""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why a connection was ended by the server; `meaning` is for people, the reason sent names the detail."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "CloseCode":
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    PROTOCOL_ERROR = 1002, "bytes that are not WebSocket (RFC 6455)"
    UNSUPPORTED_DATA = 1003, "a text message where only binary ones are spoken"
    INVALID_TEXT = 1007, "a text message that is not UTF-8"
    MESSAGE_TOO_BIG = 1009, "a message over the size limit"
    INTERNAL_ERROR = 1011, "the server could not do its part: the store or the document failed"
    SERVICE_RESTART = 1012, "the server is restarting"
    TRY_AGAIN_LATER = 1013, "too much for now: a client that stayed behind, or a server that is full"
    RESET_CONNECTION = 4205, "a frame that is not the Hocuspocus protocol"
    MALFORMED = 4400, "a message that is not valid Yjs sync, awareness or update"
    UNAUTHORIZED = 4401, "no token, or one that is not valid"
    FORBIDDEN = 4403, "not permitted: the role, or a client id that belongs to somebody else"
    NOT_FOUND = 4404, "no such room, or a name that is not a room's"
    AUTHENTICATION_TIMEOUT = 4408, "no token came in time"
    HISTORY_CHANGED = 4409, "the document was restored or made anew since the client loaded it: load it again"
    TOKEN_EXPIRED = 4501, "the token ended while it was in use: come back with a fresh one"

    @property
    def client_should_reconnect(self) -> bool:
        """Whether coming back unchanged may help."""
        return not 4400 <= self < 4500
