"""Updates written by hand, struct by struct."""

from collections.abc import Iterable

from server.protocol.id_set import IdSet
from server.protocol.varint import buf, var_uint

Id = tuple[int, int]
Section = tuple[int, int, list[bytes]]  # client, first clock, structs


def item(
    ref: int, content: bytes, *, origin: Id | None = None, right: Id | None = None, parent: Id | None = None
) -> bytes:
    """A struct with this content; without any of the ids it is a child of the root `text`."""
    info = ref | (0x80 if origin else 0) | (0x40 if right else 0)
    links = b"".join(var_uint(client) + var_uint(clock) for client, clock in filter(None, (origin, right)))
    if not links:
        links = b"\0" + var_uint(parent[0]) + var_uint(parent[1]) if parent else b"\1" + buf(b"text")
    return bytes((info,)) + links + content


def string(
    text: str, *, origin: Id | None = None, right: Id | None = None, parent: Id | None = None
) -> bytes:
    return item(4, buf(text.encode()), origin=origin, right=right, parent=parent)


def gc(length: int) -> bytes:
    return b"\x00" + var_uint(length)


def skip(length: int) -> bytes:
    return b"\x0a" + var_uint(length)


def update(*sections: Section, deletes: Iterable[tuple[int, int, int]] = ()) -> bytes:
    out = [var_uint(len(sections))]
    for client, clock, structs in sections:
        out += (var_uint(len(structs)), var_uint(client), var_uint(clock), *structs)
    return b"".join(out) + IdSet(deletes).write()
