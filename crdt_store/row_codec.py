"""Bytes of a stored row, pure: its updates, its client ids and the checksum over all of it.

payload: for each update, varint(zigzag(ms since the update before, or 1970)) varint(length) bytes.
client ids: one varint each. A varint is little-endian base 128.
"""

import struct
from collections.abc import Iterable
from hashlib import blake2b

from crdt_store.update_log import Update

_CHECKSUM_BYTES = 8
_ROW_HEADER = struct.Struct(">qqqqII")
_SNAPSHOT_HEADER = struct.Struct(">qqI")
_NOBODY = -1  # user ids are positive


def encode_updates(updates: Iterable[Update]) -> bytes:
    """Pack the updates; their own bytes stay as they are."""
    out = bytearray()
    before = 0
    for update in updates:
        elapsed = update.received_at_ms - before
        before = update.received_at_ms
        _write_varint(out, elapsed << 1 if elapsed >= 0 else (-elapsed << 1) - 1)
        _write_varint(out, len(update.data))
        out += update.data
    return bytes(out)


def decode_updates(payload: bytes) -> tuple[Update, ...]:
    """The inverse of `encode_updates`. Raises ValueError when the bytes end too early."""
    updates = []
    position = time = 0
    while position < len(payload):
        zigzag, position = _read_varint(payload, position)
        time += zigzag >> 1 ^ -(zigzag & 1)
        length, position = _read_varint(payload, position)
        end = position + length
        if end > len(payload):
            raise ValueError("bytes end inside an update")
        updates.append(Update(payload[position:end], time))
        position = end
    return tuple(updates)


def encode_client_ids(client_ids: Iterable[int]) -> bytes:
    """Pack the ids, which are not negative, in their order."""
    out = bytearray()
    for client_id in client_ids:
        _write_varint(out, client_id)
    return bytes(out)


def decode_client_ids(packed: bytes) -> tuple[int, ...]:
    """The inverse of `encode_client_ids`. Raises ValueError when the bytes end too early."""
    client_ids = []
    position = 0
    while position < len(packed):
        client_id, position = _read_varint(packed, position)
        client_ids.append(client_id)
    return tuple(client_ids)


def row_checksum(
    document: str,
    seq: int,
    author_id: int | None,
    client_ids: bytes,
    payload: bytes,
    first_received_at_ms: int,
    last_received_at_ms: int,
) -> bytes:
    """8 bytes over the row and its place, so that a row that was moved or swapped does not match either."""
    name = document.encode()
    author = _NOBODY if author_id is None else author_id
    digest = blake2b(
        _ROW_HEADER.pack(seq, author, first_received_at_ms, last_received_at_ms, len(name), len(client_ids)),
        digest_size=_CHECKSUM_BYTES,
    )
    digest.update(name)
    digest.update(client_ids)
    digest.update(payload)
    return digest.digest()


def snapshot_checksum(document: str, seq: int, data: bytes, created_at_ms: int) -> bytes:
    """8 bytes over the snapshot and its place."""
    name = document.encode()
    digest = blake2b(_SNAPSHOT_HEADER.pack(seq, created_at_ms, len(name)), digest_size=_CHECKSUM_BYTES)
    digest.update(name)
    digest.update(data)
    return digest.digest()


def _write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    for index in range(position, len(data)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, index + 1
        shift += 7
    raise ValueError("bytes end inside an integer")
