"""The structs of a Yjs update (format v1), one by one, each with the place of its own bytes.

Nothing is decoded that need not be, and what is written again is the very bytes that were read: unlike an
engine's re-encoding, this loses nothing. Inputs have passed `update_shape.check_update`.

An update: varUint sections • sections × (varUint structs • varUint client • varUint clock • structs) • delete
set. A struct: info byte • [origin id] • [right origin id] • [parent • [key]] • content, where the low 5 bits
of info say what the content is and the high 3 which of the optional parts are there. An id: varUint client •
varUint clock.
"""

from codecs import getincrementaldecoder
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from server.protocol.id_set import IdSet, read_id_set
from server.protocol.varint import MalformedBytes, read_var_uint, var_uint

GC, DELETED, JSON, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, DOC, SKIP = range(11)

_HAS_ORIGIN, _HAS_RIGHT_ORIGIN, _HAS_KEY, _CONTENT_REF = 0x80, 0x40, 0x20, 0x1F
_PIECE_BYTES = 64 * 1024
_TYPES = range(7)
_NAMED_TYPES = (3, 5)  # Y.XmlElement and Y.XmlHook are followed by their name

Id = tuple[int, int]


@dataclass(slots=True, eq=False)
class Struct:
    """A run of `length` clocks of one client. A Skip (`ref == SKIP`) is a hole, not content."""

    source: bytes  # source[start:end] is the struct, source[content:end] its content
    start: int
    content: int
    end: int
    client: int
    clock: int
    length: int
    info: int
    origin: Id | None
    right_origin: Id | None
    parent: Id | str | None  # an id or a root's name; like `key` only known of a struct without origins
    key: str | None

    @property
    def ref(self) -> int:
        """Which content: GC, DELETED, … SKIP."""
        return self.info & _CONTENT_REF

    @property
    def text(self) -> str:
        """What a STRING struct says."""
        _, start = read_var_uint(self.source, self.content)
        return self.source[start : self.end].decode()

    @property
    def values(self) -> bytes:
        """The values of an ANY or JSON struct, one behind the other."""
        _, start = read_var_uint(self.source, self.content)
        return self.source[start : self.end]

    def cut(self, offset: int) -> "Struct":
        """What is left from the clock `clock + offset` on, for 0 < offset < length, as Yjs writes it.

        Of a surrogate pair that is cut through, the second half becomes U+FFFD.
        """
        clock = self.clock + offset
        info, origin, links = self.info, None, b""
        if self.ref not in (GC, SKIP):
            info, origin = info | _HAS_ORIGIN, (self.client, clock - 1)
            links = _write_id(origin) + (_write_id(self.right_origin) if self.right_origin else b"")
        rest = replace(
            self, clock=clock, length=self.length - offset, info=info, origin=origin, parent=None, key=None
        )
        return rest._written_as(bytes((info,)) + links, self._cut_content(offset))

    def with_text(self, text: str) -> "Struct":
        """The same STRING struct saying something else of the same UTF-16 length."""
        return self._written_as(self.source[self.start : self.content], _write_string(text))

    def renamed(self, names: Mapping[int, int]) -> "Struct":
        """The same struct where these client ids are others, its own and those it hangs on."""

        def name(link: Id) -> Id:
            return names.get(link[0], link[0]), link[1]

        struct = replace(
            self,
            client=names.get(self.client, self.client),
            origin=None if self.origin is None else name(self.origin),
            right_origin=None if self.right_origin is None else name(self.right_origin),
            parent=name(self.parent) if isinstance(self.parent, tuple) else self.parent,
        )
        return struct._written_as(struct._write_head(), self.source[self.content : self.end])

    def _write_head(self) -> bytes:
        head = bytes((self.info,))
        for link in (self.origin, self.right_origin):
            if link is not None:
                head += _write_id(link)
        if isinstance(self.parent, str):
            head += b"\x01" + _write_string(self.parent)
        elif self.parent is not None:
            head += b"\x00" + _write_id(self.parent)
        return head if self.key is None else head + _write_string(self.key)

    def _written_as(self, head: bytes, content: bytes) -> "Struct":
        source = head + content
        return replace(self, source=source, start=0, content=len(head), end=len(source))

    def _cut_content(self, offset: int) -> bytes:
        if self.ref in (GC, DELETED, SKIP):
            return var_uint(self.length - offset)
        if self.ref == STRING:
            text = self.text.encode("utf-16-le")[2 * offset :].decode("utf-16-le", "replace").encode()
            return var_uint(len(text)) + text
        if self.ref not in (ANY, JSON):
            raise ValueError(f"content {self.ref} has no length to cut")
        _, position = read_var_uint(self.source, self.content)
        skip = _skip_any if self.ref == ANY else _skip_string
        for _ in range(offset):
            position = skip(self.source, position)
        return var_uint(self.length - offset) + self.source[position : self.end]


def read_structs(update: bytes) -> tuple[list[Struct], IdSet]:
    """Return (structs in the update's order, Skips included; what it deletes). Raises MalformedBytes."""
    try:
        return _read_structs(update)
    except IndexError:
        raise MalformedBytes(len(update), "bytes end inside a struct") from None
    except UnicodeDecodeError as error:
        raise MalformedBytes(0, f"invalid UTF-8: {error.reason}") from None


def _read_structs(update: bytes) -> tuple[list[Struct], IdSet]:
    # One-byte integers, strings of ASCII and ids of the section's own client are nearly all there is: they
    # are read in place, without a call.
    structs: list[Struct] = []
    sections, position = read_var_uint(update, 0)
    for _ in range(sections):
        count = update[position]
        position += 1
        if count > 0x7F:
            count, position = read_var_uint(update, position - 1)
        client_at = position
        client, position = read_var_uint(update, position)
        own = update[client_at:position]
        clock, position = _read_clock(update, position)
        for _ in range(count):
            start = position
            info = update[position]
            position += 1
            ref = info & _CONTENT_REF
            origin = right_origin = parent = key = None
            if ref != GC and ref != SKIP:
                if info >= _HAS_ORIGIN:
                    origin, position = _read_id(update, position, client, own)
                if info & _HAS_RIGHT_ORIGIN:
                    right_origin, position = _read_id(update, position, client, own)
                if info < _HAS_RIGHT_ORIGIN:
                    parent, key, position = _read_parent(update, position, client, own, info)
            content = position
            length = update[position]
            position += 1
            if length > 0x7F:
                length, position = read_var_uint(update, content)
            if ref == STRING:
                text_at = position
                position += length
                if position > len(update):
                    raise IndexError
                text = update[text_at:position]
                if not text.isascii():
                    length = utf16_length(text)
            elif ref != DELETED and ref != GC and ref != SKIP:
                length, position = _skip_content(update, content, ref)
            structs.append(
                Struct(
                    update,
                    start,
                    content,
                    position,
                    client,
                    clock,
                    length,
                    info,
                    origin,
                    right_origin,
                    parent,
                    key,
                )
            )
            clock += length
    deletes, _ = read_id_set(update, position)
    return structs, deletes


def write_update(structs: Mapping[int, Sequence[Struct]], deletes: IdSet) -> bytes:
    """An update of these structs by client, each client's as `in_order` gives them; holes become Skips."""
    sections = sorted((client for client, run in structs.items() if run), reverse=True)
    out = [var_uint(len(sections))]
    for client in sections:
        run = structs[client]
        count_at = len(out)
        out += (b"", var_uint(client), var_uint(run[0].clock))
        clock = run[0].clock
        count = len(run)
        for struct in run:
            if struct.clock > clock:
                out.append(b"\x0a" + var_uint(struct.clock - clock))
                count += 1
            out.append(struct.source[struct.start : struct.end])
            clock = struct.clock + struct.length
        out[count_at] = var_uint(count)
    out.append(deletes.write())
    return b"".join(out)


def in_order(structs: Iterable[Struct]) -> dict[int, list[Struct]]:
    """Group by client, each client's structs by ascending clock, without Skips and without overlaps.

    Of two structs for the same clocks the one that comes first stays, the other is cut.
    """
    clients: dict[int, list[Struct]] = {}
    for struct in structs:
        if struct.info != SKIP and struct.length:
            if struct.client in clients:
                clients[struct.client].append(struct)
            else:
                clients[struct.client] = [struct]
    for client, run in clients.items():
        if not _is_disjoint(run):
            clients[client] = _disjoint(run)
    return clients


def _is_disjoint(run: Sequence[Struct]) -> bool:
    clock = 0
    for struct in run:
        if struct.clock < clock:
            return False
        clock = struct.clock + struct.length
    return True


def _disjoint(run: list[Struct]) -> list[Struct]:
    kept: list[Struct] = []
    clock = 0
    for struct in sorted(run, key=lambda struct: struct.clock):
        end = struct.clock + struct.length
        if end > clock:
            kept.append(struct if struct.clock >= clock else struct.cut(clock - struct.clock))
            clock = end
    return kept


def utf16_length(text: bytes) -> int:
    """UTF-16 code units of UTF-8 text: the clocks that a string takes. Raises UnicodeDecodeError.

    In pieces, since a codec lets no other thread run meanwhile.
    """
    if len(text) <= _PIECE_BYTES:
        return len(text.decode().encode("utf-16-le")) // 2
    decoder = getincrementaldecoder("utf-8")()
    pieces = (text[start : start + _PIECE_BYTES] for start in range(0, len(text), _PIECE_BYTES))
    units_bytes = sum(len(decoder.decode(piece).encode("utf-16-le")) for piece in pieces)
    return (units_bytes + len(decoder.decode(b"", final=True).encode("utf-16-le"))) // 2


def _read_id(update: bytes, position: int, client: int, own: bytes) -> tuple[Id, int]:
    if update.startswith(own, position):
        position += len(own)
    else:
        client, position = read_var_uint(update, position)
    clock = update[position]
    if clock < 0x80:
        return (client, clock), position + 1
    clock, position = _read_clock(update, position)
    return (client, clock), position


def _read_clock(update: bytes, position: int) -> tuple[int, int]:
    """`read_var_uint`, faster for the one or two bytes that most clocks take."""
    value = update[position]
    if value < 0x80:
        return value, position + 1
    value = value & 0x7F | update[position + 1] << 7
    if value < 0x4000:  # else the second byte is not the last
        return value, position + 2
    return read_var_uint(update, position)


def _read_parent(
    update: bytes, position: int, client: int, own: bytes, info: int
) -> tuple[Id | str, str | None, int]:
    is_root, position = read_var_uint(update, position)
    parent: Id | str
    key = None
    if is_root == 1:
        parent, position = _read_string(update, position)
    else:
        parent, position = _read_id(update, position, client, own)
    if info & _HAS_KEY:
        key, position = _read_string(update, position)
    return parent, key, position


def _write_id(identifier: Id) -> bytes:
    return var_uint(identifier[0]) + var_uint(identifier[1])


def _write_string(text: str) -> bytes:
    said = text.encode()
    return var_uint(len(said)) + said


def _read_string(update: bytes, position: int) -> tuple[str, int]:
    start, end = _string_range(update, position)
    return update[start:end].decode(), end


def _string_range(update: bytes, position: int) -> tuple[int, int]:
    length, start = read_var_uint(update, position)
    if length > len(update) - start:
        raise MalformedBytes(position, f"length {length} reaches past the end")
    return start, start + length


def _skip_string(update: bytes, position: int) -> int:
    return _string_range(update, position)[1]


def _skip_content(update: bytes, position: int, ref: int) -> tuple[int, int]:
    """Return (clocks, position after the content) for every content but GC, SKIP, DELETED and STRING."""
    if ref in (ANY, JSON):
        skip = _skip_any if ref == ANY else _skip_string
        count, position = read_var_uint(update, position)
        for _ in range(count):
            position = skip(update, position)
        return count, position
    if ref in (BINARY, EMBED):
        return 1, _skip_string(update, position)
    if ref == FORMAT:
        return 1, _skip_string(update, _skip_string(update, position))
    if ref == DOC:
        return 1, _skip_any(update, _skip_string(update, position))
    if ref == TYPE:
        type_ref, after = read_var_uint(update, position)
        if type_ref not in _TYPES:
            raise MalformedBytes(position, f"unknown type {type_ref}")
        return 1, _skip_string(update, after) if type_ref in _NAMED_TYPES else after
    raise MalformedBytes(position, f"unknown content {ref}")


# lib0's `any`: a tag byte, then so many bytes (-1: up to the first byte under 0x80).
_ANY_BYTES = {127: 0, 126: 0, 125: -1, 124: 4, 123: 8, 122: 8, 121: 0, 120: 0}
_ANY_STRING, _ANY_OBJECT, _ANY_ARRAY, _ANY_BINARY = 119, 118, 117, 116


def _skip_any(update: bytes, position: int) -> int:
    """The position after one value, however deep: open containers wait on a list, not on the stack."""
    open_containers: list[list[int]] = [[1, False]]  # [values still to come, whether each follows a key]
    while open_containers:
        container = open_containers[-1]
        if container[0] == 0:
            open_containers.pop()
            continue
        container[0] -= 1
        if container[1]:
            position = _skip_string(update, position)
        tag = update[position]
        position += 1
        if tag in (_ANY_STRING, _ANY_BINARY):
            position = _skip_string(update, position)
        elif tag in (_ANY_OBJECT, _ANY_ARRAY):
            count, position = read_var_uint(update, position)
            open_containers.append([count, tag == _ANY_OBJECT])
        elif tag not in _ANY_BYTES:
            raise MalformedBytes(position - 1, f"unknown value tag {tag}")
        elif _ANY_BYTES[tag] >= 0:
            position += _ANY_BYTES[tag]
        else:
            while update[position] > 0x7F:
                position += 1
            position += 1
    if position > len(update):
        raise IndexError
    return position
