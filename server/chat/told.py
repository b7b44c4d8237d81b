"""A chat's news as JSON clients hear them (docs/events.md, `message`). PURE."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crdt_store.message_rows import StoredMessage
from server.chat.judgement import Reacted


def iso(at_ms: int) -> str:
    """ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def told_message(message: StoredMessage, action: str) -> Mapping[str, Any]:
    """The payload of a `message` event: `send`, `edit` or `delete`."""
    return {
        "id": message.uuid,
        "seq": message.seq,
        "action": action,
        "body": message.body,
        "reply_to": message.reply_to,
        "mentions": list(message.mentions),
        "sent_at": message.sent_at or None,
        "server_time": iso(message.server_time_ms),
        "edited_at": None if message.edited_at_ms is None else iso(message.edited_at_ms),
        "deleted": message.deleted,
        **told_agent(message.agent),
    }


def told_agent(agent: Mapping[str, str] | None) -> Mapping[str, Any]:
    """What is said of the agent behind it, if there is one."""
    return {} if agent is None else {"agent": agent}


def told_reaction(reaction: Reacted, agent: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """The payload of a `message` event about a reaction; the envelope's sender is who reacts."""
    return {
        "id": reaction.message_id,
        "action": "react" if reaction.is_set else "unreact",
        "reaction": reaction.emoji,
        **told_agent(agent),
    }
