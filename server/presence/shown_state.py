"""One device's awareness state, as JSON clients see it, and the states that the server shows for them. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from server.presence.small_json import small_json

PresenceState = Literal["online", "away"]
"""Of somebody in a room."""

MAX_ACTIVITY_CHARACTERS = 200
_SHOWN_OF_USER = ("name", "color", "avatar", "agent")


class ShownState(NamedTuple):
    """`user`: name, color, avatar and agent as far as they are shown."""

    user: Mapping[str, Any]
    state: PresenceState = "online"
    typing: bool = False
    activity: str | None = None
    cursor: Any = None


def read_state(state: bytes, shown_user: Mapping[str, Any]) -> ShownState:
    """What a state says; parts that are not as they should be count as not there.

    `state` is a JSON object that the room has let pass, and stamped with `shown_user` if it names a user at all.
    Editors put where they are into `cursor` or `selection`.
    """
    try:
        value: dict[str, Any] = json.loads(state)
    except RecursionError:  # it was read before, but not from so deep in the stack
        value = {}
    claimed = value.get("user")
    user = {**shown_user, **(claimed if isinstance(claimed, dict) else {})}
    activity = value.get("activity")
    return ShownState(
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


def write_state(
    user: Mapping[str, Any], *, is_away: bool, is_typing: bool, cursor: Any, is_selection: bool = False
) -> bytes:
    """The state that others see of a JSON client. `user` is as `shown_user` says, `id` included.

    `is_selection`: editors can show the cursor, whichever of its names they look for it under.
    """
    state = {"user": dict(user), "away": is_away, "typing": is_typing, "cursor": cursor}
    if is_selection:
        state["selection"] = cursor
    return json.dumps(state, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
