"""The one table of the limits that clients can meet. docs/limits.md is tested against it."""

from typing import NamedTuple

from server.settings import Settings


class Limit(NamedTuple):
    """A setting: what it counts in, what it applies to, and what happens beyond it."""

    name: str
    unit: str
    applies_to: str
    beyond: str

    def value(self, settings: Settings) -> float | int | None:
        """What is set; None where nothing is, and the server finds out for itself."""
        value: float | int | None = getattr(settings, self.name)
        return value


_SLOWED = "read more slowly, told so, closed with 1013 after throttled_close_seconds"
_LATER = "refused with 1013"
_429 = "HTTP 429 with Retry-After"

LIMITS = (
    Limit("max_message_bytes", "bytes", "a WebSocket message; a document sent over HTTP", "1009; HTTP 413"),
    Limit("max_unauthenticated_bytes", "bytes", "a WebSocket message before authentication", "1009"),
    Limit(
        "max_queued_bytes", "bytes", "what a Hocuspocus client sends before its token was looked at", "1009"
    ),
    Limit("authentication_seconds", "seconds", "a Hocuspocus client without a token", "4408"),
    Limit("max_awareness_bytes", "bytes", "an awareness message", "1009"),
    Limit("max_json_bytes", "bytes", "the body of any other request", "HTTP 413"),
    Limit("max_header_bytes", "bytes", "a request line and its headers", "HTTP 431"),
    Limit("max_update_structs", "structs and deletions", "an update on a WebSocket", "1009"),
    Limit("max_document_bytes", "bytes", "a document", "edits are refused (02 00 reason), deletions are not"),
    Limit(
        "max_held_bytes",
        "bytes",
        "updates of a connection that build on missing ones",
        "dropped; the client is asked for them again",
    ),
    Limit(
        "max_chat_messages_per_minute_per_user",
        "chat messages a minute",
        "a user's JSON clients, on one node",
        "error `rate_limited`",
    ),
    Limit(
        "max_rooms_per_connection",
        "rooms",
        "a JSON or Hocuspocus client",
        "error `rate_limited`; permission denied",
    ),
    Limit(
        "max_room_events", "events", "what is kept of a room for JSON clients that come back", "the oldest go"
    ),
    Limit("max_versions_per_document", "named versions", "a document", "HTTP 413"),
    Limit(
        "max_stale_bytes",
        "bytes",
        "what clients of earlier epochs bring, for each document",
        "no more is kept",
    ),
    Limit(
        "max_held_edits_bytes",
        "bytes",
        "what others write to a locked document, until the lock ends",
        "no more is kept",
    ),
    Limit(
        "max_held_edits_bytes_per_user",
        "bytes",
        "what a user writes to locked documents, until the locks end",
        "no more is kept",
    ),
    Limit(
        "max_conflict_characters",
        "characters",
        "the texts of a file's conflicts",
        "resolved ones go, then no more are kept",
    ),
    Limit("max_locks_per_user", "locks", "a user, held and waited for", _429),
    Limit("max_lease_seconds", "seconds", "a lease of a lock", "HTTP 422"),
    Limit("max_outbox_bytes", "bytes", "what a client leaves unread", "one diff when it has caught up"),
    Limit("max_uncommitted_bytes", "bytes", "updates waiting for the disk", "sockets are read later"),
    Limit("max_empty_rooms_bytes", "bytes", "rooms that nobody is in", "the least recently used are closed"),
    Limit("max_memory_bytes", "bytes", "the process", "1013; HTTP 503 where a room would have to be opened"),
    Limit("max_connections_per_user", "connections", "a user, on one node", _LATER),
    Limit("max_connections_per_address", "connections", "an address, on one node", _LATER),
    Limit("max_joins_per_minute_per_user", "rooms entered a minute", "a user, on one node", _LATER),
    Limit(
        "max_handshakes_per_minute_per_address",
        "connections begun a minute",
        "an address, on one node",
        "HTTP 429 instead of a WebSocket",
    ),
    Limit("max_messages_per_second_per_connection", "messages a second", "a connection", _SLOWED),
    Limit("max_messages_per_second_per_user", "messages a second", "a user's connections together", _SLOWED),
    Limit("max_requests_per_minute_per_user", "requests a minute", "a user, on one node", _429),
    Limit("max_requests_per_minute_per_address", "requests a minute", "an address, on one node", _429),
    Limit(
        "max_failures_per_minute_per_address",
        "refused tokens and tickets a minute",
        "an address, on one node",
        f"{_429} for the next one that is refused",
    ),
    Limit(
        "throttled_close_seconds", "seconds", "a connection that has to be slowed down all the time", "1013"
    ),
    Limit("lagging_close_seconds", "seconds", "a connection that stays behind", "1013"),
    Limit("silence_close_seconds", "seconds", "a connection from which nothing comes", "closed"),
    Limit("handshake_timeout_seconds", "seconds", "sending a request's headers", "HTTP 408"),
    Limit("ticket_seconds", "seconds", "a ticket, until it is used", "4401"),
    Limit(
        "jwt_leeway_seconds", "seconds", "a token's `exp` and `nbf`, for clocks that differ", "4401; HTTP 401"
    ),
    Limit("engine_call_seconds", "seconds", "one call of the document engine", "the server starts anew"),
    Limit("broadcast_window_seconds", "seconds", "gathering edits that leave together", "they leave"),
    Limit("commit_window_seconds", "seconds", "gathering edits that are stored together", "they are stored"),
    Limit("room_linger_seconds", "seconds", "an empty room", "closed"),
    Limit("keepalive_seconds", "seconds", "a connection to which nothing is sent", "it gets a frame"),
)
