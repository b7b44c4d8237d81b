"""The one table of what an `error` event says. docs/events.md is tested against it."""

from enum import StrEnum


class EventErrorCode(StrEnum):
    """`meaning` is for people; the code is for programs."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> "EventErrorCode":
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    NOT_JSON = "not_json", "the message is no JSON text"
    BAD_ENVELOPE = "bad_envelope", "the message is no event: the reason names the part that is wrong"
    UNKNOWN_TYPE = "unknown_type", "there is no event of this type"
    UNSUPPORTED = (
        "unsupported",
        "only the server sends events of this type, or this server does not take them",
    )
    INVALID_PAYLOAD = "invalid_payload", "the payload is not as this type asks: the reason names the part"
    TOO_LARGE = "too_large", "the message is over a size limit: the reason names it"
    NOT_AUTHENTICATED = "not_authenticated", "`connect` with a token comes first"
    UNAUTHORIZED = "unauthorized", "the token or ticket was refused: the reason says why"
    NOT_JOINED = "not_joined", "the room has to be joined first"
    NOT_ALLOWED = "not_allowed", "your role, or your ticket, does not let you do this here"
    NOT_FOUND = "not_found", "there is no such room, or no such thing in it"
    CONFLICT = "conflict", "it contradicts what is there: the reason says how"
    BUDGET_EXCEEDED = "budget_exceeded", "an agent's run has used up what its token lets it write"
    RATE_LIMITED = "rate_limited", "a limit is reached: the reason names it"
    UNAVAILABLE = "unavailable", "the store or the document cannot answer now: try again"
    ROOM_CLOSED = "room_closed", "the server has closed the room for you: join it again"
    INTERNAL = "internal", "a fault of the server's; it is in its log"


class EventError(Exception):
    """Answered as an `error` event; the connection stays."""

    def __init__(self, code: EventErrorCode, reason: str = "") -> None:
        """`reason` is for people; without one it is the code's meaning."""
        super().__init__(reason or code.meaning)
        self.code = code
        self.reason = reason or code.meaning
