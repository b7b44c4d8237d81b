"""Walks the values inside a Yjs update: lib0 `Any` (binary) and JSON text (embeds, format values).

Each walker also tells whether yrs would re-encode the value with loss (or might: the answer errs on this side
where it is quicker): it keeps objects in a hash map (keys come back in another order), drops the sign of -0,
makes numbers of small bigints and may round a JSON fraction. Recursion ends at MAX_DEPTH; yrs recurses without a
limit and overflows its stack at some 20,000 levels.
"""

import json
import math
import re
from typing import NoReturn

from server.protocol.varint import MAX_SAFE_INTEGER, MalformedBytes, read_var_uint

MAX_DEPTH = 64  # arrays and objects around a value
MAX_INT64 = 2**63 - 1
_MAX_FLOAT = 10**308  # a little less, so that no way to round it leads to infinity

_OBJECT, _ARRAY, _INTEGER, _STRING, _BUFFER, _BIGINT = 118, 117, 125, 119, 116, 122
_FIXED_SIZE = {127: 0, 126: 0, 124: 4, 123: 8, _BIGINT: 8, 121: 0, 120: 0}  # tag -> bytes after it
_NEGATIVE_ZERO = 0x40
_PLAIN_JSON = re.compile(r'null|true|false|0|-?[1-9][0-9]{0,14}|"[^"\\\x00-\x1f]*"')


def read_text(data: bytes, position: int) -> tuple[str, int]:
    """Return (string, position after it). Raises MalformedBytes, for invalid UTF-8 too."""
    length = data[position]
    start = position + 1
    if length >= 0x80:
        length, start = read_var_uint(data, position)
    end = start + length
    if end > len(data):
        raise MalformedBytes(position, f"length {length} reaches past the end")
    try:
        return data[start:end].decode(), end
    except UnicodeDecodeError as error:
        raise MalformedBytes(start + error.start, "invalid UTF-8") from None


def skip_buf(data: bytes, position: int) -> int:
    """Return the position after a length-prefixed byte string."""
    length, start = read_var_uint(data, position)
    if length > len(data) - start:
        raise MalformedBytes(position, f"length {length} reaches past the end")
    return start + length


def walk_any(data: bytes, position: int, depth: int = 0) -> tuple[int, bool]:
    """Return (position after one `Any` value, lossy). Raises MalformedBytes, IndexError where data ends."""
    tag = data[position]
    position += 1
    if tag == _STRING:
        return read_text(data, position)[1], False
    if tag == _INTEGER:
        return _skip_var_int(data, position), data[position] & 0x7F == _NEGATIVE_ZERO
    if tag in (_ARRAY, _OBJECT):
        if depth == MAX_DEPTH:
            raise MalformedBytes(position, f"values nested deeper than {MAX_DEPTH}")
        return _walk_items(data, position, depth + 1, keyed=tag == _OBJECT)
    if tag == _BUFFER:
        return skip_buf(data, position), False
    if tag not in _FIXED_SIZE:
        raise MalformedBytes(position - 1, f"unknown value type {tag}")
    position += _FIXED_SIZE[tag]
    if position > len(data):
        raise MalformedBytes(len(data), "bytes end inside a number")
    return position, tag == _BIGINT


def _walk_items(data: bytes, position: int, depth: int, *, keyed: bool) -> tuple[int, bool]:
    count, position = read_var_uint(data, position)
    if count > len(data) - position:  # each takes a byte at least; yrs reserves memory for the claim
        raise MalformedBytes(position, f"{count} values do not fit in the rest")
    lossy = keyed and count > 1
    for _ in range(count):
        if keyed:
            position = read_text(data, position)[1]
        position, item_lossy = walk_any(data, position, depth)
        lossy = lossy or item_lossy
    return position, lossy


def _skip_var_int(data: bytes, position: int) -> int:
    """A signed lib0 integer: the first byte has the sign and 6 bits, the others 7 each; 53 bits at most."""
    first = data[position]
    if first < 0x80:
        return position + 1
    rest, end = read_var_uint(data, position + 1)
    if rest << 6 | first & 0x3F > MAX_SAFE_INTEGER:
        raise MalformedBytes(position, "integer over 53 bits")
    return end


def walk_json(data: bytes, position: int) -> tuple[int, bool]:
    """Return (position after a JSON string, lossy). Accepts only what serde_json reads into an `Any`."""
    text, end = read_text(data, position)
    if _PLAIN_JSON.fullmatch(text):
        return end, False
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        return end, _is_lossy_json(value) or "-0" in text  # whose sign json drops as well
    except RecursionError:
        raise MalformedBytes(position, f"JSON nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise MalformedBytes(position, f"JSON that yrs refuses: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _is_lossy_json(value: object) -> bool:
    """Level by level, so that depth costs no stack. Raises ValueError for what yrs's `Any` cannot hold."""
    lossy = False
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        deeper: list[object] = []
        for item in level:
            if isinstance(item, dict):
                deeper += item.keys()
                deeper += item.values()
                lossy = lossy or len(item) > 1
            elif isinstance(item, list):
                deeper += item
            else:
                lossy = _is_lossy_scalar(item) or lossy
        if not deeper:
            return lossy
        level = deeper
    raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _is_lossy_scalar(value: object) -> bool:
    if isinstance(value, str):
        value.encode()  # an escaped lone surrogate: UnicodeEncodeError is a ValueError
    elif isinstance(value, float):
        if math.isinf(value):
            raise ValueError("number out of range")
        return True
    elif isinstance(value, int) and not -MAX_INT64 <= value <= MAX_INT64:
        if 0 < value < 2**64 or abs(value) > _MAX_FLOAT:
            raise ValueError("integer out of range")
        return True  # a float to yrs, and to JavaScript
    return False
