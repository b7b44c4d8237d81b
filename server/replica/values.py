"""lib0's `Any` values, the content of Y.Map entries, as Python values and back.

JavaScript has one kind of number: a whole number is read as an int, however it was written. A bigint is another
type there, so it stays one here.
"""

import struct

from server.protocol.structs import ANY, STRING
from server.protocol.varint import read_buf, read_var_uint, var_uint

_MAX_INT31 = 2**31 - 1
_MAX_SAFE = 2**53 - 1
_FLOATS = {124: (">f", 4), 123: (">d", 8)}
_CONSTANTS: dict[int, object] = {127: None, 126: None, 121: False, 120: True}


class BigInt(int):
    """An integer that JavaScript reads as a bigint: 7n is not 7."""


def read_any(data: bytes, position: int) -> tuple[object, int]:
    """Return (value, position after it) of bytes that have passed `check_update`; `undefined` is None."""
    tag = data[position]
    position += 1
    if tag == 119:
        text, position = read_buf(data, position)
        return text.decode(), position
    if tag == 125:
        return _read_var_int(data, position)
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], position
    if tag in _FLOATS:
        form, size = _FLOATS[tag]
        number: float = struct.unpack_from(form, data, position)[0]
        is_whole = abs(number) <= _MAX_SAFE and number.is_integer()
        return int(number) if is_whole else number, position + size
    if tag == 122:
        return BigInt(struct.unpack_from(">q", data, position)[0]), position + 8
    if tag == 116:
        return read_buf(data, position)
    count, position = read_var_uint(data, position)
    if tag == 117:
        items: list[object] = []
        for _ in range(count):
            item, position = read_any(data, position)
            items.append(item)
        return items, position
    fields: dict[str, object] = {}
    for _ in range(count):
        key, position = read_buf(data, position)
        fields[key.decode()], position = read_any(data, position)
    return fields, position


def _read_var_int(data: bytes, position: int) -> tuple[int, int]:
    """The first byte holds a sign and 6 bits, the others 7 each."""
    first = data[position]
    value = first & 0x3F
    position += 1
    if first & 0x80:
        rest, position = read_var_uint(data, position)
        value |= rest << 6
    return -value if first & 0x40 else value, position


def write_any(value: object) -> bytes:
    """As lib0 writes it. Raises TypeError for what is no value, ValueError for an integer over 53 bits."""
    if value is None or isinstance(value, bool):
        return b"\x7e" if value is None else b"\x78" if value else b"\x79"
    if isinstance(value, str):
        text = value.encode()
        return b"\x77" + var_uint(len(text)) + text
    if isinstance(value, int) and abs(value) <= _MAX_INT31:
        return b"\x7d" + _var_int(value)
    if isinstance(value, int | float):
        if abs(value) > _MAX_SAFE and isinstance(value, int):
            raise ValueError("an integer over 53 bits")
        return b"\x7b" + struct.pack(">d", value)
    if isinstance(value, list | tuple):
        return b"\x75" + var_uint(len(value)) + b"".join(map(write_any, value))
    if isinstance(value, dict):
        parts = [var_uint(len(key.encode())) + key.encode() + write_any(item) for key, item in value.items()]
        return b"\x76" + var_uint(len(value)) + b"".join(parts)
    raise TypeError(f"{type(value).__name__} is not a value of a document")


def _var_int(value: int) -> bytes:
    size = abs(value)
    first = size & 0x3F | (0x40 if value < 0 else 0)
    return bytes((first,)) if size < 0x40 else bytes((first | 0x80,)) + var_uint(size >> 6)


def split_content(ref: int, content: bytes, offset: int) -> tuple[bytes, bytes]:
    """The content of an ANY or STRING struct as that of two, the first of which is `offset` clocks long.

    As Yjs does: each half of a surrogate pair that is cut through becomes U+FFFD.
    """
    count, start = read_var_uint(content, 0)
    if ref == STRING:
        units = content[start:].decode().encode("utf-16-le")
        halves = (units[: 2 * offset], units[2 * offset :])
        first, second = (half.decode("utf-16-le", "replace").encode() for half in halves)
        return var_uint(len(first)) + first, var_uint(len(second)) + second
    if ref != ANY:
        raise ValueError(f"content {ref} has no length to cut")
    position = start
    for _ in range(offset):
        _, position = read_any(content, position)
    return var_uint(offset) + content[start:position], var_uint(count - offset) + content[position:]
