"""Marks beside characters of a text, as somebody would have written them who knew nothing else of it.

Put into a copy of a document they say where the characters are, however many pieces its text is in.
"""

from collections.abc import Iterable, Mapping, Sequence

from server.protocol.structs import STRING, Id
from server.protocol.varint import buf, var_uint

_HAS_ORIGIN, _HAS_RIGHT_ORIGIN = 0x80, 0x40
_MAX_CLIENT_ID = 2**53 - 1


def write_marks(
    state: Mapping[int, int], behind: Sequence[tuple[Id, str]], before: Sequence[tuple[Id, str]]
) -> bytes:
    """An update for a document of these clocks, with texts right behind and right before characters.

    Client ids decide who of several stands nearer to a character: the lowest behind it, the highest before it.
    """
    low = next(client for client in range(len(state) + 1) if client not in state)
    high = next(client for client in range(_MAX_CLIENT_ID, 0, -1) if client not in state)
    parts = [
        _structs(client, link, marks)
        for client, link, marks in ((high, _HAS_RIGHT_ORIGIN, before), (low, _HAS_ORIGIN, behind))
        if marks
    ]
    return var_uint(len(parts)) + b"".join(parts) + b"\0"


def _structs(client: int, link: int, marks: Iterable[tuple[Id, str]]) -> bytes:
    head = bytes((STRING | link,))
    structs = [head + var_uint(item[0]) + var_uint(item[1]) + buf(text.encode()) for item, text in marks]
    return b"".join((var_uint(len(structs)), var_uint(client), b"\0", *structs))
