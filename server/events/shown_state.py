"""One device's awareness state, as JSON clients see it, and the states that the server shows for them. Pure."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from server.events.models import small_json
from server.events.sent_models import PresenceState

MAX_ACTIVITY_CHARACTERS = 200
_SHOWN_OF_USER = ("name", "color", "avatar", "agent")


class ShownState(NamedTuple):
    """`user`: name, color, avatar and agent as far as they are shown, stamped by the server."""

    user_id: int | None
    user: Mapping[str, Any]
    state: PresenceState = "online"
    typing: bool = False
    activity: str | None = None
    cursor: Any = None


def read_state(state: bytes) -> ShownState:
    """What a state says; parts that are not as they should be count as not there. `user_id` is None if it names none.

    `state` is a JSON object that the room has let pass. Editors put where they are into `cursor` or `selection`.
    """
    try:
        value: dict[str, Any] = json.loads(state)
    except RecursionError:  # it was read before, but not from so deep in the stack
        value = {}
    user = value.get("user")
    if not isinstance(user, dict):
        user = {}
    user_id, activity = user.get("id"), value.get("activity")
    return ShownState(
        user_id if isinstance(user_id, int) else None,
        {key: user[key] for key in _SHOWN_OF_USER if key in user},
        "away" if value.get("away") is True else "online",
        value.get("typing") is True,
        activity if isinstance(activity, str) and len(activity) <= MAX_ACTIVITY_CHARACTERS else None,
        _small_or_none(value.get("cursor", value.get("selection"))),
    )


def _small_or_none(value: Any) -> Any:
    try:
        return small_json(value)
    except ValueError:
        return None


def write_state(user: Mapping[str, Any], *, is_away: bool, is_typing: bool, cursor: Any) -> bytes:
    """The state that others see of a JSON client. `user` is as `shown_user` says, `id` included."""
    state = {"user": dict(user), "away": is_away, "typing": is_typing, "cursor": cursor}
    return json.dumps(state, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
