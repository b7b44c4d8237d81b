"""lib0 variable-length integers: little-endian base 128, at most 53 bits (Yjs client ids are the widest).

Also `buf`: a varint byte length, then that many bytes. All readers take and return positions.
"""

MAX_SAFE_INTEGER = 2**53 - 1
_MAX_VARINT_BYTES = 8  # 8 * 7 = 56 bits hold every 53-bit integer


class MalformedBytes(ValueError):
    """These bytes are not what the format says; `offset` is where the first fault lies."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"{reason} at byte {offset}")
        self.offset = offset
        self.reason = reason


def read_var_uint(data: bytes, position: int) -> tuple[int, int]:
    """Return (value, position after it). Raises MalformedBytes; looks at no more than 8 bytes."""
    chunk = data[position : position + _MAX_VARINT_BYTES]
    if chunk and chunk[0] < 0x80:  # most are one byte
        return chunk[0], position + 1
    value = shift = 0
    for index, byte in enumerate(chunk, 1):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > MAX_SAFE_INTEGER:
                raise MalformedBytes(position, "integer over 53 bits")
            return value, position + index
        shift += 7
    if len(chunk) < _MAX_VARINT_BYTES:
        raise MalformedBytes(len(data), "bytes end inside an integer")
    raise MalformedBytes(position, "integer over 53 bits")


def var_uint(value: int) -> bytes:
    """Encode an integer of 0 to 2**53 - 1."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_buf(data: bytes, position: int) -> tuple[bytes, int]:
    """Return (bytes, position after them). Raises MalformedBytes before copying anything too long."""
    length, start = read_var_uint(data, position)
    if length > len(data) - start:
        raise MalformedBytes(position, f"length {length} reaches past the end")
    return data[start : start + length], start + length


def buf(data: bytes) -> bytes:
    """Length-prefixed bytes."""
    return var_uint(len(data)) + data
