"""JSON that clients show each other: bounded, so that every reader takes it. Pure."""

import json
from typing import Any

MAX_CURSOR_BYTES, MAX_CURSOR_DEPTH = 4 * 1024, 32


def small_json(value: Any) -> Any:
    """The value, if every reader takes it. Raises ValueError."""
    if not _is_flat(value, MAX_CURSOR_DEPTH):
        raise ValueError(f"must be nested at most {MAX_CURSOR_DEPTH} deep")
    # Half a surrogate pair, and a number that is none, are ValueErrors.
    if len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode()) > MAX_CURSOR_BYTES:
        raise ValueError(f"must have at most {MAX_CURSOR_BYTES} bytes")
    return value


def _is_flat(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    parts = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_flat(part, depth - 1) for part in parts)
