"""The checker (ARCHITECTURE.md, invariant 2): walks a Yjs v1 update or state vector before pycrdt sees it.

yrs trusts its input: it reads strings without looking at their UTF-8, keeps 32 bits of a clock, recurses into
nested values without a limit and reserves memory for whatever count it is told. What passes here is complete
(every count, length and byte is accounted for) and is read by Yjs and yrs alike. Two kinds of content that
Yjs knows are refused because yrs 0.28 reads other bytes for them than Yjs does: JSON content (kind 2, written
only by Yjs before version 13; yrs takes one string more) and XmlHook types (yrs leaves their name unread).

Layout of an update (yjs `UpdateEncoderV1`), all numbers varints, clocks in UTF-16 units:

    update    = n • n × section • deleteSet
    section   = structCount • client • firstClock • structs, each following the one before without a gap
    struct    = info: one byte; low 5 bits the content's kind, then origin • right origin • parent as flagged
    deleteSet = n • n × (client • m • m × (clock • length))
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from server.protocol.any_shape import read_text, skip_buf, walk_any, walk_json
from server.protocol.varint import MAX_SAFE_INTEGER, MalformedBytes, read_var_uint

CLOCK_LIMIT = 2**31  # exclusive: yrs subtracts clocks as signed 32-bit integers

_GC, _DELETED, _BINARY, _STRING, _EMBED, _FORMAT, _TYPE, _ANY, _DOC, _SKIP = 0, 1, 3, 4, 5, 6, 7, 8, 9, 10
_HAS_ORIGIN, _HAS_RIGHT_ORIGIN, _HAS_PARENT_SUB = 0x80, 0x40, 0x20
_KIND = 0x1F
_ORIGINS = ((), (0,), (0,), (0, 1))  # by the two flags: how many ids follow
_XML_ELEMENT = 3
_TYPES = frozenset({0, 1, 2, _XML_ELEMENT, 4, 6})  # array, map, text, XML element, fragment, text


class MalformedUpdate(MalformedBytes):
    """Not an update (or state vector) that the engine may see; `offset` is where the first fault lies."""


class TooManyStructs(Exception):
    """An update of more structs and deletions than it may have."""

    def __init__(self, max_structs: int) -> None:
        super().__init__(f"an update of over {max_structs} structs (max_update_structs)")


class UpdateShape(NamedTuple):
    """What an update holds, by ids alone.

    A Skip says "not in this update": inside a client's range it only sets `has_skips`, before the first and
    after the last real struct it is left out, so a client whose structs are all Skips is not in `structs`.
    """

    structs: dict[int, tuple[int, int]]  # client -> (clock of its first struct, clock after its last)
    has_skips: bool
    depends: dict[int, int]  # client -> clock after the last id hung on (may lie within this update)
    deletes: tuple[tuple[int, int, int], ...]  # (client, clock, length) in file order
    lossy: bool  # yrs re-encodes it differently (see any_shape, originals): subdocuments, objects, bigints
    has_astral: bool  # a string holds a surrogate pair: yrs cuts at whole characters only
    has_non_ascii: bool  # a string is not ASCII: below an array that is read, it makes yrs loop for ever
    names_places: (
        bool  # a struct says where it is, or may hold others, or is gone; no other matters to Placement
    )
    sections: tuple[tuple[int, int, int, int], ...]  # (client, structs, where they begin, where they end)

    @property
    def is_empty(self) -> bool:
        return not self.structs and not self.deletes


def check_update(data: bytes, max_structs: int = CLOCK_LIMIT) -> UpdateShape:
    """Walk a v1 update to its last byte; cost is linear in len(data).

    Raises MalformedUpdate, and TooManyStructs before it has walked so many structs and deletions.
    """
    walk = _UpdateWalk(data, max_structs)
    try:
        position = walk.all_sections(0)
        position = walk.delete_set(position)
    except IndexError:
        raise MalformedUpdate(len(data), "bytes end inside the update") from None
    except MalformedBytes as error:
        raise MalformedUpdate(error.offset, error.reason) from None
    if position != len(data):
        raise MalformedUpdate(position, "bytes after the update")
    return UpdateShape(
        walk.structs,
        walk.has_skips,
        walk.depends,
        tuple(walk.deletes),
        walk.lossy,
        walk.has_astral,
        walk.has_non_ascii,
        walk.names_places,
        tuple(walk.sections),
    )


def check_state_vector(data: bytes) -> dict[int, int]:
    """Read a v1 state vector: n • n × (client • clock), client -> next clock. Raises MalformedUpdate only."""
    clocks: dict[int, int] = {}
    try:
        count, position = _read_count(data, 0, "entries", size=2)
        for _ in range(count):
            start = position
            client, position = _read_client(data, position)
            clock, position = read_var_uint(data, position)
            if client in clocks:
                raise MalformedBytes(start, f"client {client} twice")
            if clock >= CLOCK_LIMIT:
                raise MalformedBytes(start, "clock over 31 bits")
            clocks[client] = clock
    except IndexError:
        raise MalformedUpdate(len(data), "bytes end inside the state vector") from None
    except MalformedBytes as error:
        raise MalformedUpdate(error.offset, error.reason) from None
    if position != len(data):
        raise MalformedUpdate(position, "bytes after the state vector")
    return clocks


def fits(shape: UpdateShape, state: Mapping[int, int]) -> bool:
    """Whether an update continues `state` (client -> next clock) without a gap, an overlap or an unknown link.

    What no walk without the document can see. yrs 0.28 applies structs that lie beyond a gap at once, then panics
    when it encodes them (store.rs:234); it cuts a struct that overlaps known ones without comparing them, and an
    array in which the cut halves belong to different parents loops for ever. So a room applies only what fits:
    what overlaps is first cut to what is new, what is ahead waits or is asked for again. Known structs do not fit
    either: the engine would ignore them, but the log, merged, might say afterwards what they say.
    """
    structs = shape.structs
    for client, (first, _) in structs.items():
        if first != state.get(client, 0):
            return False
    for client, after in shape.depends.items():
        if after > state.get(client, 0) and (client not in structs or after > structs[client][1]):
            return False
    return not shape.has_skips


def _read_client(data: bytes, position: int) -> tuple[int, int]:
    """What read_var_uint does, thrice as fast for 53-bit ids: eight bytes at once, then close the gaps."""
    chunk = int.from_bytes(data[position : position + 8], "little")
    stop = ~chunk & 0x8080808080808080
    stop &= -stop  # the top bit of the last byte
    chunk &= stop - 1
    chunk = chunk & 0x007F007F007F007F | (chunk & 0x7F007F007F007F00) >> 1
    chunk = chunk & 0x00003FFF00003FFF | (chunk & 0x3FFF00003FFF0000) >> 2
    client = chunk & 0x0FFFFFFF | (chunk & 0x0FFFFFFF00000000) >> 4
    end = position + (stop.bit_length() >> 3)
    if not stop or end > len(data) or client > MAX_SAFE_INTEGER:
        return read_var_uint(data, position)  # raises what is due
    return client, end


def _read_count(data: bytes, position: int, what: str, *, size: int) -> tuple[int, int]:
    """Read how many entries of at least `size` bytes follow, refusing more than the rest can hold."""
    count = data[position]
    start = position + 1
    if count >= 0x80:
        count, start = read_var_uint(data, position)
    if count * size > len(data) - start:
        raise MalformedBytes(position, f"{count} {what} do not fit in the rest")
    return count, start


class _UpdateWalk:
    """One pass over an update. Methods take a position and return the one after what they read.

    They raise MalformedBytes, or IndexError where the bytes end.
    """

    __slots__ = (
        "data",
        "deletes",
        "depends",
        "has_astral",
        "has_non_ascii",
        "has_skips",
        "lossy",
        "max_structs",
        "names_places",
        "sections",
        "structs",
        "total",
    )

    def __init__(self, data: bytes, max_structs: int) -> None:
        self.data = data
        self.max_structs = max_structs
        self.total = 0
        self.structs: dict[int, tuple[int, int]] = {}
        self.sections: list[tuple[int, int, int, int]] = []
        self.depends: dict[int, int] = {}
        self.deletes: list[tuple[int, int, int]] = []
        self.has_skips = self.lossy = self.has_astral = self.has_non_ascii = self.names_places = False

    def all_sections(self, position: int) -> int:
        count, position = _read_count(self.data, position, "clients", size=5)
        clients: set[int] = set()
        for _ in range(count):
            start = position
            client, position = self._section(position)
            if client in clients:
                raise MalformedBytes(start, f"client {client} twice")
            clients.add(client)
        return position

    def _count(self, structs: int) -> None:
        self.total += structs
        if self.total > self.max_structs:
            raise TooManyStructs(self.max_structs)

    def _section(self, position: int) -> tuple[int, int]:
        """Return (client, position after its structs)."""
        data = self.data
        start = position
        count, position = _read_count(data, position, "structs", size=2)
        if not count:
            raise MalformedBytes(start, "a client without structs")
        self._count(count)
        id_start = position
        client, position = _read_client(data, position)
        own_id = data[id_start:position]
        clock, position = read_var_uint(data, position)
        structs_start = position
        first = last = -1
        for _ in range(count):
            start = position
            info = data[position]
            kind = info & _KIND
            position += 1
            if info >= _HAS_RIGHT_ORIGIN:
                position = self._origins(position, info, client, own_id, clock)
            elif kind != _GC and kind != _SKIP:
                position = self._parent(position, info, client, own_id, clock)
            if kind == _STRING:
                if data[position] == 1 and data[position + 1] < 0x80:  # a typed character
                    length = 1
                    position += 2
                else:
                    length, position = self._string(position)
            else:
                length, position = self._content(info, position)
            after = clock + length
            if not clock < after < CLOCK_LIMIT:
                raise MalformedBytes(start, f"struct of length {length} at clock {clock}")
            if kind == _SKIP:
                self.has_skips = True
            else:
                last = after
                if first < 0:
                    first = clock
            clock = after
        if first >= 0:
            self.structs[client] = first, last
        self.sections.append((client, count, structs_start, position))
        return client, position

    def _origins(self, position: int, info: int, client: int, own_id: bytes, clock: int) -> int:
        """The ids of the neighbours that the struct of `client` at `clock` was put between."""
        data = self.data
        depends = self.depends
        for _ in _ORIGINS[info >> 6]:
            linked_client = client
            if data.startswith(own_id, position):  # most name the own client: comparing beats decoding
                position += len(own_id)
            else:
                linked_client, position = _read_client(data, position)
            linked = data[position]  # its clock
            if linked < 0x80:
                position += 1
            elif data[position + 1] < 0x80:  # two bytes hold the clocks of most documents
                linked = linked & 0x7F | data[position + 1] << 7
                position += 2
            else:
                linked, position = read_var_uint(data, position)
            if linked >= clock and linked_client == client:
                raise MalformedBytes(position, "a struct that hangs on itself or a later one")
            if linked >= depends.get(linked_client, 0):
                if linked >= CLOCK_LIMIT - 1:
                    raise MalformedBytes(position, "clock over 31 bits")
                depends[linked_client] = linked + 1
        return position

    def _parent(self, position: int, info: int, client: int, own_id: bytes, clock: int) -> int:
        """What holds a struct without neighbours (a root by name, a type by id) and its key there."""
        self.names_places = True
        names_root = self.data[position]
        if names_root == 1:
            position = read_text(self.data, position + 1)[1]
        elif names_root == 0:
            position = self._origins(position + 1, _HAS_ORIGIN, client, own_id, clock)
        else:
            raise MalformedBytes(position, f"parent kind {names_root}")
        if info & _HAS_PARENT_SUB:
            if info & _KIND == _FORMAT:  # has no value: yrs panics when the map's event is read
                raise MalformedBytes(position, "a format as the value of a key")
            position = read_text(self.data, position)[1]
        return position

    def _string(self, position: int) -> tuple[int, int]:
        data = self.data
        size = data[position]
        end = position + 1 + size
        if size < 0x80 and end <= len(data) and data[position + 1 : end].isascii():
            return size, end
        text, end = read_text(data, position)
        if text.isascii():
            return len(text), end
        self.has_non_ascii = True
        units = len(text.encode("utf-16-le")) // 2
        if units != len(text):
            self.has_astral = True
        return units, end

    def _content(self, info: int, position: int) -> tuple[int, int]:
        """Return (length in clock units, position after the content)."""
        kind = info & _KIND
        if kind in (_GC, _SKIP, _DELETED):
            if kind != _DELETED and info != kind:
                raise MalformedBytes(position, "flags on a GC or Skip")
            if kind != _SKIP:
                self.names_places = True
            return read_var_uint(self.data, position)
        read = _CONTENT.get(kind)
        if read is None:
            raise MalformedBytes(position, f"unknown content kind {kind}")
        return read(self, position)

    def _binary(self, position: int) -> tuple[int, int]:
        return 1, skip_buf(self.data, position)

    def _embed(self, position: int) -> tuple[int, int]:
        position, lossy = walk_json(self.data, position)
        self.lossy = self.lossy or lossy
        return 1, position

    def _format(self, position: int) -> tuple[int, int]:
        return self._embed(read_text(self.data, position)[1])  # key, then the value as JSON

    def _type(self, position: int) -> tuple[int, int]:
        self.names_places = True
        kind = self.data[position]
        if kind not in _TYPES:
            raise MalformedBytes(position, f"type {kind} that yrs cannot hold")
        if kind == _XML_ELEMENT:
            return 1, read_text(self.data, position + 1)[1]
        return 1, position + 1

    def _any(self, position: int) -> tuple[int, int]:
        data = self.data
        count, position = _read_count(data, position, "values", size=1)
        for _ in range(count):
            position, lossy = walk_any(data, position)
            self.lossy = self.lossy or lossy
        return count, position

    def _doc(self, position: int) -> tuple[int, int]:
        self.lossy = True  # yrs keeps its own options only, not `meta`
        return 1, walk_any(self.data, read_text(self.data, position)[1])[0]

    def delete_set(self, position: int) -> int:
        data = self.data
        count, position = _read_count(data, position, "clients of deletions", size=2)
        clients: set[int] = set()
        for _ in range(count):
            start = position
            client, position = _read_client(data, position)
            if client in clients:
                raise MalformedBytes(start, f"deletions of client {client} twice")
            clients.add(client)
            position = self._delete_ranges(client, position)
        return position

    def _delete_ranges(self, client: int, position: int) -> int:
        data = self.data
        count, position = _read_count(data, position, "deletions", size=2)
        self._count(count)
        end = 0
        for _ in range(count):
            start = position
            clock, position = read_var_uint(data, position)
            length, position = read_var_uint(data, position)
            if clock < end:
                raise MalformedBytes(start, "deletions overlap or are out of order")
            if not 0 < length < CLOCK_LIMIT - clock:
                raise MalformedBytes(start, f"deletion of length {length} at clock {clock}")
            end = clock + length
            self.deletes.append((client, clock, length))
        return position


_CONTENT: dict[int, Callable[[_UpdateWalk, int], tuple[int, int]]] = {
    _BINARY: _UpdateWalk._binary,
    _EMBED: _UpdateWalk._embed,
    _FORMAT: _UpdateWalk._format,
    _TYPE: _UpdateWalk._type,
    _ANY: _UpdateWalk._any,
    _DOC: _UpdateWalk._doc,
}
