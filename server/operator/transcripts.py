"""What was said in a chat, for people to read and for programs. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from crdt_store.message_rows import StoredMessage


def as_text(messages: Iterable[StoredMessage], names: Mapping[int, str]) -> Iterator[str]:
    """A line for each message, and one more for each further line of it."""
    for message in messages:
        first, *more = _body(message).split("\n")
        yield f"{_time(message)} {names[message.sender_id]}: {first}\n"
        yield from (f"    {line}\n" for line in more)


def as_markdown(messages: Iterable[StoredMessage], names: Mapping[int, str], title: str) -> Iterator[str]:
    """A paragraph for each message, below who said it and when; what people write is Markdown already."""
    yield f"# {title}\n"
    for message in messages:
        edited = ", edited" if message.edited_at_ms is not None and not message.deleted else ""
        body = "*deleted*" if message.deleted else message.body
        yield f"\n**{names[message.sender_id]}** {_time(message)}{edited}\n\n{body}\n"


def as_json(messages: Iterable[StoredMessage], names: Mapping[int, str], room: str) -> Iterator[str]:
    """One object, whose messages are in the order in which they were said."""
    yield f'{{"room": {json.dumps(room)}, "messages": ['
    for nth, message in enumerate(messages):
        fields = {
            "seq": message.seq,
            "id": message.uuid,
            "sender_id": message.sender_id,
            "sender_name": names[message.sender_id],
            "body": message.body,
            "server_time": _time(message),
            "sent_at": message.sent_at,
            "edited_at": None if message.edited_at_ms is None else _iso(message.edited_at_ms),
            "reply_to": message.reply_to,
            "mentions": message.mentions,
            "deleted": message.deleted,
        }
        yield f"{',' if nth else ''}\n{json.dumps(fields, ensure_ascii=False)}"
    yield "\n]}\n"


def _body(message: StoredMessage) -> str:
    return "(deleted)" if message.deleted else message.body


def _time(message: StoredMessage) -> str:
    return _iso(message.server_time_ms)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
