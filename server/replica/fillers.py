"""What stands in the place of a struct that was refused: it takes the same clocks and says nothing."""

from dataclasses import replace

from server.protocol.structs import DELETED, GC, Struct
from server.protocol.varint import var_uint

_CONTENT_REF = 0x1F


def as_deleted(struct: Struct) -> Struct:
    """Deleted content between the same neighbours: what is put next to it finds its place, everywhere."""
    info = struct.info & ~_CONTENT_REF | DELETED
    head = bytes((info,)) + struct.source[struct.start + 1 : struct.content]
    source = head + var_uint(struct.length)
    return replace(struct, source=source, start=0, content=len(head), end=len(source), info=info)


def as_garbage(struct: Struct) -> Struct:
    """Nothing, nowhere: Yjs makes garbage of whatever is put next to it."""
    source = b"\0" + var_uint(struct.length)
    return replace(struct, source=source, start=0, content=1, end=len(source), info=GC)
