"""Every way to reach something, and what it takes: docs/permissions.md and the tests of permission go by it.

A route that is not here fails a test.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from auth.grants import Action


class Open(StrEnum):
    """What takes no role anywhere."""

    NO_TOKEN = "nobody needs a token"
    ANY_TOKEN = "any valid token"


class Surface(NamedTuple):
    """`need` is an action in the room that is named; `but` says what else there is to it."""

    need: Action | Open
    but: str = ""

    def __str__(self) -> str:
        return f"{self.need}; {self.but}" if self.but else str(self.need)


_READ, _WRITE = Surface(Action.READ), Surface(Action.WRITE)
_REPLACE, _ADMINISTER = Surface(Action.REPLACE), Surface(Action.ADMINISTER)
_ANYBODY = Surface(Open.NO_TOKEN)

YJS: Mapping[str, Surface] = {
    "connecting": _READ,
    "SyncStep1": _READ,
    "SyncStep2 with nothing new": _READ,
    "SyncStep2": Surface(Action.WRITE, "in a chat: write a message"),
    "Update": Surface(Action.WRITE, "in a chat: write a message"),
    "Awareness": Surface(Action.SHOW_PRESENCE),
    "QueryAwareness": Surface(Action.SHOW_PRESENCE),
    "SyncStatus (102)": _READ,
}
"""Messages on `/ws/{room}`."""


EVENTS: Mapping[str, Surface] = {
    "connect": Surface(Open.ANY_TOKEN),
    "disconnect": Surface(Open.NO_TOKEN),
    "ping": Surface(Open.ANY_TOKEN),
    "join_room": _READ,
    "leave_room": _READ,
    "message": Surface(Action.WRITE_MESSAGE),
    "message_delivered": _READ,
    "message_read": _READ,
    "typing_start": Surface(Action.SHOW_PRESENCE),
    "typing_stop": Surface(Action.SHOW_PRESENCE),
    "cursor": Surface(Action.SHOW_PRESENCE),
    "file_update": Surface(Action.WRITE, "in the file"),
}
"""Events of clients on `/events`, in the room that they name."""


def _members(of_all: str, of_one: str, but: str) -> dict[tuple[str, str], Surface]:
    look, change = Surface(Action.READ, but), Surface(Action.ADMINISTER, but)
    return {
        ("GET", of_all): look,
        ("POST", of_all): change,
        ("PUT", of_one): change,
        ("DELETE", of_one): change,
    }


_OR_SERVER = "or administer `global`"

HTTP: Mapping[tuple[str, str], Surface] = {
    ("GET", "/"): _ANYBODY,
    ("GET", "/api/health"): _ANYBODY,
    ("GET", "/api/limits"): _ANYBODY,
    ("GET", "/api/docs"): _ANYBODY,
    ("GET", "/api/openapi.json"): _ANYBODY,
    ("GET", "/api/asyncapi.json"): _ANYBODY,
    ("GET", "/api/dev/token"): Surface(Open.NO_TOKEN, "in development only, from this machine"),
    ("GET", "/api/me"): Surface(Open.ANY_TOKEN),
    ("GET", "/api/roles/{room}"): _READ,
    ("POST", "/api/tickets"): Surface(Action.READ, "in the room that it is for"),
    ("GET", "/api/revocations"): Surface(Action.ADMINISTER, "in `global`"),
    ("POST", "/api/revocations"): Surface(Open.ANY_TOKEN, "for others' tokens: administer `global`"),
    ("GET", "/api/documents/{room}"): _READ,
    ("DELETE", "/api/documents/{room}"): _REPLACE,
    ("GET", "/api/documents/{room}/history"): _WRITE,
    ("GET", "/api/documents/{room}/blame"): _WRITE,
    ("GET", "/api/documents/{room}/diff"): _WRITE,
    ("GET", "/api/documents/{room}/versions"): _WRITE,
    ("POST", "/api/documents/{room}/versions"): _WRITE,
    ("PATCH", "/api/documents/{room}/versions/{version_id}"): _WRITE,
    ("DELETE", "/api/documents/{room}/versions/{version_id}"): _WRITE,
    ("POST", "/api/documents/{room}/restore"): _WRITE,
    ("POST", "/api/documents/{room}/revert"): _WRITE,
    ("GET", "/api/documents/{room}/runs"): _WRITE,
    ("POST", "/api/documents/{room}/runs/{run_id}/keep"): Surface(Action.WRITE, "no agent"),
    ("POST", "/api/documents/{room}/runs/{run_id}/revert"): Surface(Action.WRITE, "no agent"),
    ("GET", "/api/runs/{run_id}"): Surface(Open.ANY_TOKEN, "shows documents that the caller may write"),
    ("GET", "/api/copies/{room}"): _READ,
    ("PUT", "/api/copies/{room}"): _REPLACE,
    ("GET", "/api/stale-updates/{room}"): _REPLACE,
    ("GET", "/api/stale-update/{stale_id}/{room}"): _REPLACE,
    ("POST", "/api/stale-update/{stale_id}/{room}"): _REPLACE,
    ("DELETE", "/api/stale-update/{stale_id}/{room}"): _REPLACE,
    ("GET", "/api/quarantine/{room}"): _REPLACE,
    ("GET", "/api/projects"): Surface(Open.ANY_TOKEN, "shows those where the caller has a role"),
    ("POST", "/api/projects"): Surface(Open.ANY_TOKEN, "that lets its bearer be an admin of projects"),
    ("GET", "/api/projects/{id}"): _READ,
    ("PATCH", "/api/projects/{id}"): _ADMINISTER,
    ("DELETE", "/api/projects/{id}"): _ADMINISTER,
    ("GET", "/api/projects/{id}/workspaces"): _READ,
    ("POST", "/api/projects/{id}/workspaces"): _WRITE,
    ("GET", "/api/workspaces/{id}"): _READ,
    ("PATCH", "/api/workspaces/{id}"): _ADMINISTER,
    ("DELETE", "/api/workspaces/{id}"): _ADMINISTER,
    ("GET", "/api/projects/{id}/chats"): _READ,
    ("POST", "/api/projects/{id}/chats"): _WRITE,
    ("GET", "/api/chats/{id}"): _READ,
    ("PATCH", "/api/chats/{id}"): _ADMINISTER,
    ("DELETE", "/api/chats/{id}"): _ADMINISTER,
    ("GET", "/api/chats/{id}/messages"): _READ,
    ("GET", "/api/chats/{id}/messages/{message_id}"): _READ,
    ("GET", "/api/chats/{id}/receipts"): _READ,
    ("PUT", "/api/chats/{id}/read"): _READ,
    ("GET", "/api/chats/{id}/unread"): _READ,
    ("GET", "/api/unread"): Surface(Open.ANY_TOKEN, "counts in chats that the caller may read"),
    ("GET", "/api/search/messages"): Surface(Open.ANY_TOKEN, "finds what the caller may read"),
    ("GET", "/api/users/me/visibility"): Surface(Open.ANY_TOKEN),
    ("PUT", "/api/users/me/visibility"): Surface(Open.ANY_TOKEN),
    ("GET", "/api/users/{id}/presence"): Surface(Open.ANY_TOKEN, "of who shares a room with the caller"),
    ("GET", "/api/rooms/{room}/presence"): Surface(Action.SHOW_PRESENCE),
    ("GET", "/api/presence"): Surface(Action.SHOW_PRESENCE, "in the project that is named"),
    ("GET", "/api/locks"): Surface(Open.ANY_TOKEN, "shows those where the caller may read"),
    ("DELETE", "/api/locks/waiting"): Surface(Open.ANY_TOKEN, "for the caller's own place in the line"),
    ("GET", "/api/locks/audit"): Surface(Action.FORCE_UNLOCK, "in the workspace that is named"),
    ("POST", "/api/locks"): Surface(Action.LOCK, "in the file that is named"),
    ("POST", "/api/locks/{id}/renew"): Surface(Action.LOCK, "the caller's own"),
    ("DELETE", "/api/locks/{id}"): Surface(Open.ANY_TOKEN, "for the caller's own"),
    ("POST", "/api/locks/{id}/transfer"): Surface(
        Action.LOCK, "the caller's own; another's: end somebody else's lock"
    ),
    ("POST", "/api/locks/{id}/force"): Surface(Action.FORCE_UNLOCK),
    ("GET", "/lfs/{workspace}/locks"): _READ,
    ("POST", "/lfs/{workspace}/locks"): Surface(Action.LOCK, "in the file that is named"),
    ("POST", "/lfs/{workspace}/locks/verify"): Surface(Action.LOCK),
    ("POST", "/lfs/{workspace}/locks/{id}/unlock"): Surface(
        Action.READ, "the caller's own; another's: end somebody else's lock"
    ),
    ("GET", "/api/notifications"): Surface(Open.ANY_TOKEN, "shows the caller's own"),
    ("GET", "/api/notifications/count"): Surface(Open.ANY_TOKEN),
    ("POST", "/api/notifications/read-all"): Surface(Open.ANY_TOKEN),
    ("POST", "/api/notifications/{notification_id}/read"): Surface(Open.ANY_TOKEN, "for the caller's own"),
    ("POST", "/api/notifications/{notification_id}/archive"): Surface(Open.ANY_TOKEN, "for the caller's own"),
    ("GET", "/api/notifications/preferences"): Surface(Open.ANY_TOKEN),
    ("PUT", "/api/notifications/preferences"): Surface(Open.ANY_TOKEN, "of a chat: read there"),
    ("POST", "/api/notifications/broadcast"): Surface(Action.ADMINISTER, "in `global`"),
    ("GET", "/api/jobs"): Surface(Action.ADMINISTER, "in `global`"),
    ("POST", "/api/jobs/{job_id}/retry"): Surface(Action.ADMINISTER, "in `global`"),
    ("DELETE", "/api/jobs/{job_id}"): Surface(Action.ADMINISTER, "in `global`"),
    ("GET", "/api/workspaces/{id}/files/{path}/content"): _READ,
    ("PUT", "/api/workspaces/{id}/files/{path}/content"): _WRITE,
    ("PATCH", "/api/workspaces/{id}/files/{path}/content"): _WRITE,
    ("GET", "/api/workspaces/{id}/files/{path}/conflicts"): _READ,
    ("POST", "/api/workspaces/{id}/files/{path}/conflicts/{conflict_id}"): _WRITE,
    ("GET", "/api/workspaces/{id}/files/{path}/held"): Surface(
        Action.WRITE, "shows the caller's own; others': end somebody else's lock"
    ),
    ("GET", "/api/workspaces/{id}/tree"): Surface(Action.READ, "shows files that the caller may read"),
    ("GET", "/api/workspaces/{id}/files"): Surface(Action.READ, "shows files that the caller may read"),
    ("POST", "/api/workspaces/{id}/files"): _WRITE,
    ("PATCH", "/api/workspaces/{id}/files/{file_id}"): _WRITE,
    ("DELETE", "/api/workspaces/{id}/files/{file_id}"): _WRITE,
    ("POST", "/api/workspaces/{id}/files/{file_id}/copy"): _WRITE,
    ("POST", "/api/workspaces/{id}/folders"): _WRITE,
    ("PATCH", "/api/workspaces/{id}/folders/{path}"): _WRITE,
    ("DELETE", "/api/workspaces/{id}/folders/{path}"): _WRITE,
    ("GET", "/api/workspaces/{id}/trash"): Surface(Action.READ, "shows files that the caller may read"),
    ("POST", "/api/workspaces/{id}/trash/{file_id}/restore"): _WRITE,
    ("DELETE", "/api/workspaces/{id}/trash/{file_id}"): _REPLACE,
    **_members("/api/projects/{id}/members", "/api/projects/{id}/members/{user_id}", _OR_SERVER),
    **_members("/api/workspaces/{id}/members", "/api/workspaces/{id}/members/{user_id}", _OR_SERVER),
    **_members("/api/chats/{id}/members", "/api/chats/{id}/members/{user_id}", _OR_SERVER),
    **_members("/api/members/{room}", "/api/member/{user_id}/{room}", _OR_SERVER),
    **dict.fromkeys(
        (
            ("GET", "/api/global/members"),
            ("POST", "/api/global/members"),
            ("PUT", "/api/global/members/{user_id}"),
            ("DELETE", "/api/global/members/{user_id}"),
        ),
        Surface(Action.ADMINISTER, "in `global`"),
    ),
}
"""Routes by method and path; only those of development are not always there."""
