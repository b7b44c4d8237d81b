"""Puts back what an engine loses when it encodes.

yrs decodes the values of a document (objects, embeds, formats, the options of subdocuments) and does not write
all of them as it read them; whoever joins through it would see something else than those who were there. So
the bytes of such values are kept beside the engine, by id: wherever it writes the value again, in whatever
struct, they take its place.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator

from server.protocol.any_shape import skip_buf, walk_any, walk_json
from server.protocol.structs import ANY, DOC, EMBED, FORMAT, Struct, read_structs
from server.protocol.update_shape import UpdateShape
from server.protocol.varint import read_var_uint

_HOLDERS = (ANY, EMBED, FORMAT, DOC)


class Originals:
    """The values of one document that its engine does not keep. Costs nothing until there is one."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[int, tuple[list[int], list[bytes]]] = {}
        """Client -> (clocks, ascending; the value at each)."""

    def __bool__(self) -> bool:
        return bool(self._values)

    @property
    def clients(self) -> Collection[int]:
        """Who wrote them."""
        return self._values.keys()

    def admit(self, update: bytes, shape: UpdateShape) -> None:
        """Take note of an update that the engine has integrated, and that holds nothing it had before.

        What is deleted is forgotten, O(log n) for each range.
        """
        if shape.lossy:
            for struct in read_structs(update)[0]:
                if struct.ref in _HOLDERS:
                    for clock, value in _lossy_values(struct):
                        self._note(struct.client, clock, value)
        if self._values:
            for client, clock, length in shape.deletes:
                self._forget(client, clock, length)

    def restore(self, update: bytes) -> bytes:
        """The engine's encoding with the values that were noted in it, the rest as it was. Linear in structs."""
        if not self._values or update[0] == 0:
            return update
        parts: list[bytes] = []
        done = 0
        for struct in read_structs(update)[0]:
            if struct.ref in _HOLDERS and struct.client in self._values:
                for start, end, value in self._replacements(struct):
                    parts += (update[done:start], value)
                    done = end
        return b"".join((*parts, update[done:])) if parts else update

    def _note(self, client: int, clock: int, value: bytes) -> None:
        clocks, values = self._values.setdefault(client, ([], []))
        clocks.append(clock)
        values.append(value)

    def _forget(self, client: int, clock: int, length: int) -> None:
        if client not in self._values:
            return
        clocks, values = self._values[client]
        span = slice(bisect_left(clocks, clock), bisect_left(clocks, clock + length))
        del clocks[span], values[span]
        if not clocks:
            del self._values[client]

    def _replacements(self, struct: Struct) -> Iterator[tuple[int, int, bytes]]:
        """(start, end, what belongs there) within the struct's source."""
        clocks, values = self._values[struct.client]
        first = bisect_left(clocks, struct.clock)
        last = bisect_left(clocks, struct.clock + struct.length, first)
        if first == last:
            return
        if struct.length == 1:
            yield struct.content + (1 if struct.ref == ANY else 0), struct.end, values[first]
            return
        noted = dict(zip(clocks[first:last], values[first:last], strict=True))
        for clock, start, end, _ in _any_values(struct):
            if clock in noted:
                yield start, end, noted[clock]


def _lossy_values(struct: Struct) -> Iterator[tuple[int, bytes]]:
    """(clock, bytes) of each value that yrs would change; a FORMAT's key and a DOC's guid are part of its own."""
    source = struct.source
    if struct.ref == ANY:
        for clock, start, end, lossy in _any_values(struct):
            if lossy:
                yield clock, source[start:end]
    elif _is_lossy(struct):
        yield struct.clock, source[struct.content : struct.end]


def _any_values(struct: Struct) -> Iterator[tuple[int, int, int, bool]]:
    """(clock, start, end, whether yrs would change it) of each value in an ANY struct."""
    _, position = read_var_uint(struct.source, struct.content)
    for clock in range(struct.clock, struct.clock + struct.length):
        start = position
        position, lossy = walk_any(struct.source, start)
        yield clock, start, position, lossy


def _is_lossy(struct: Struct) -> bool:
    """Whether yrs would change the one value of an EMBED, FORMAT or DOC."""
    if struct.ref == DOC:
        return True
    value = struct.content if struct.ref == EMBED else skip_buf(struct.source, struct.content)
    return walk_json(struct.source, value)[1]
