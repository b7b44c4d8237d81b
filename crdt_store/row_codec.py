"""Bytes of a stored row, pure: its updates, its client ids and the checksum over all of it.

payload: for each update, varint(zigzag(ms since the update before, or 1970)) varint(length) bytes.
client ids: one varint each. seqs: for each row, varint(seq - first one), varint(its updates).
A snapshot: for each update, varint(length) bytes. A varint is little-endian base 128.
"""

import struct
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import groupby

from crdt_store.update_log import Update

_CHECKSUM_BYTES = 8
_ROW_HEADER = struct.Struct(">qqqqII")
_HISTORY_HEADER = struct.Struct(">qqqqqqII")
_SNAPSHOT_HEADER = struct.Struct(">qqII")
_RUN = struct.Struct(">q")
_NOBODY = -1  # user ids are positive
_MAX_SHIFT = 63  # without a limit, decoding damaged bytes would take time quadratic in their number

DAMAGE = (ValueError, TypeError, struct.error)
"""What decoding or checking a damaged row raises: in SQLite a damaged value may have changed its type."""


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
        data, position = _read_bytes(payload, position)
        updates.append(Update(data, time))
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


def encode_seqs(seqs: Sequence[int], first: int) -> bytes | None:
    """Pack ascending seqs, one for each update; None where they are all the same."""
    if len(set(seqs)) < 2:
        return None
    out = bytearray()
    for seq, updates in groupby(seqs):
        _write_varint(out, max(seq - first, 0))  # below it: of another compaction, which will be refused
        _write_varint(out, len(list(updates)))
    return bytes(out)


def decode_seqs(packed: bytes, first: int, updates: int) -> tuple[int, ...]:
    """The inverse of `encode_seqs` for so many updates. Raises ValueError for others."""
    seqs: list[int] = []
    position = 0
    while position < len(packed):
        offset, position = _read_varint(packed, position)
        count, position = _read_varint(packed, position)
        if len(seqs) + count > updates:
            break
        seqs += [first + offset] * count
    if len(seqs) != updates:
        raise ValueError(f"seqs of {len(seqs)} updates, where there are {updates}")
    return tuple(seqs)


def row_checksum(
    document: str,
    seq: int,
    author_id: int | None,
    client_ids: bytes,
    payload: bytes,
    first_received_at_ms: int,
    last_received_at_ms: int,
    run_id: int | None = None,
) -> bytes:
    """8 bytes over the row and its place, so that a row that was moved or swapped does not match either."""
    name = document.encode()
    author = _NOBODY if author_id is None else author_id
    header = _ROW_HEADER.pack(
        seq, author, first_received_at_ms, last_received_at_ms, len(name), len(client_ids)
    )
    return _digest(header, name, client_ids, payload, _run(run_id))


def history_checksum(
    document: str,
    epoch: int,
    seqs: tuple[int, int],
    author_id: int | None,
    client_ids: bytes,
    payload: bytes,
    times: tuple[int, int],
    packed_seqs: bytes | None = None,
    run_id: int | None = None,
) -> bytes:
    """The same for a row of the history; `seqs`, `times`: of its first and its last update."""
    name = document.encode()
    author = _NOBODY if author_id is None else author_id
    header = _HISTORY_HEADER.pack(epoch, *seqs, author, *times, len(name), len(client_ids))
    return _digest(header, name, client_ids, payload, packed_seqs or b"", _run(run_id))


def snapshot_checksum(document: str, seq: int, data: bytes, summary: bytes, created_at_ms: int) -> bytes:
    """8 bytes over the snapshot and its place."""
    name = document.encode()
    return _digest(_SNAPSHOT_HEADER.pack(seq, created_at_ms, len(name), len(summary)), name, summary, data)


def encode_parts(parts: Iterable[bytes]) -> bytes:
    """Pack a snapshot's updates."""
    out = bytearray()
    for part in parts:
        _write_varint(out, len(part))
        out += part
    return bytes(out)


def decode_parts(packed: bytes) -> tuple[bytes, ...]:
    """The inverse of `encode_parts`. Raises ValueError when the bytes end too early."""
    parts = []
    position = 0
    while position < len(packed):
        part, position = _read_bytes(packed, position)
        parts.append(part)
    return tuple(parts)


def _run(run_id: int | None) -> bytes:
    """What an agent's row has beyond others: those of people stay as they were before there were runs."""
    return b"" if run_id is None else _RUN.pack(run_id)


def _digest(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=_CHECKSUM_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    length, position = _read_varint(data, position)
    end = position + length
    if end > len(data):
        raise ValueError("bytes end inside an update")
    return data[position:end], end


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
        if shift > _MAX_SHIFT:
            raise ValueError("an integer of more than 64 bits")
    raise ValueError("bytes end inside an integer")
