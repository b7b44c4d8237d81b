"""Awareness entries on the wire: varUint n, n x (varUint client id, varUint clock, str JSON); `null` means gone.

Source: y-protocols' awareness.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from server.protocol.varint import MalformedBytes, buf, read_buf, read_var_uint, var_uint

_MIN_ENTRY_BYTES = 3
_NULL = b"null"
MAX_CLOCK = 2**52
"""Leaves room to count on: a clock over 53 bits makes every stock reader fail."""


class MalformedAwareness(MalformedBytes):
    """Awareness bytes that a stock client could not read, or would fail on."""


@dataclass(frozen=True, slots=True)
class AwarenessEntry:
    """One client's state as JSON bytes, or None when it is gone."""

    client_id: int
    clock: int
    state: bytes | None


def read_entries(data: bytes) -> list[AwarenessEntry]:
    """Raises MalformedAwareness; whether a state is JSON is left to `stamp_user`."""
    try:
        count, position = read_var_uint(data, 0)
        if count > (len(data) - position) // _MIN_ENTRY_BYTES:
            raise MalformedAwareness(0, f"{count} entries do not fit")
        entries = []
        for _ in range(count):
            client_id, position = read_var_uint(data, position)
            clock, position = read_var_uint(data, position)
            if clock > MAX_CLOCK:
                raise MalformedAwareness(position, "clock over 52 bits")
            state, position = _read_state(data, position)
            entries.append(AwarenessEntry(client_id, clock, None if state == _NULL else state))
    except MalformedAwareness:
        raise
    except MalformedBytes as error:
        raise MalformedAwareness(error.offset, error.reason) from error
    if position != len(data):
        raise MalformedAwareness(position, "bytes after the last entry")
    return entries


def _read_state(data: bytes, position: int) -> tuple[bytes, int]:
    state, end = read_buf(data, position)
    try:
        state.decode()
    except UnicodeDecodeError as error:
        raise MalformedAwareness(position + error.start, "state is not UTF-8") from error
    return state, end


def write_entry(entry: AwarenessEntry) -> bytes:
    """One entry, for `join_entries`."""
    return var_uint(entry.client_id) + var_uint(entry.clock) + buf(entry.state or _NULL)


def write_entries(entries: Iterable[AwarenessEntry]) -> bytes:
    """The inverse of `read_entries`."""
    return join_entries([write_entry(entry) for entry in entries])


def join_entries(entries: Collection[bytes]) -> bytes:
    """`write_entries` of entries that are encoded already."""
    return b"".join((var_uint(len(entries)), *entries))


_IDENTITY = frozenset({"id", "name", "avatar", "agent"})
"""What of a `user` a client may not say of itself; a colour it may choose, unless its token does."""


def stamp_user(state: bytes, shown: Mapping[str, Any]) -> bytes:
    """The state with who the sender really is as its `user`, where one is claimed at all.

    `shown` is what the server knows; of what the client says of itself stays what decides about no identity.

    Raises MalformedAwareness unless the state is a JSON object, since it would break every reader.
    """
    try:
        value = _DECODER.decode(state.decode())
    except (ValueError, RecursionError) as error:
        raise MalformedAwareness(0, "state is not JSON") from error
    if not isinstance(value, dict):
        raise MalformedAwareness(0, "state is not a JSON object")
    user: Any = value.get("user")
    if user is None:
        return state
    claimed = user if isinstance(user, dict) else {}
    stamped = {key: part for key, part in claimed.items() if key not in _IDENTITY} | dict(shown)
    if stamped == user:
        return state
    value["user"] = stamped
    return _ENCODER.encode(value).encode()


def _refuse(constant: str) -> NoReturn:
    """Python would let NaN and Infinity pass, on which browsers fail."""
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    """A number too large for a float would be written back as Infinity."""
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number} is out of range")
    return value


# json.loads and json.dumps would make new ones each time.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
