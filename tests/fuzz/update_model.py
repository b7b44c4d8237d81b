"""An update taken apart into structs that can be changed field by field and put together again, valid or not."""

from dataclasses import dataclass, field, replace

from server.protocol.update_shape import CLOCK_LIMIT, _UpdateWalk
from server.protocol.varint import buf, read_buf, read_var_uint, var_uint

Id = tuple[int, int]


@dataclass
class Piece:
    """One struct; `content` is what follows the links, its length prefix included."""

    info: int
    content: bytes
    origin: Id | None = None
    right_origin: Id | None = None
    parent: bytes | Id | None = None  # a root's name, or the id of a type
    parent_sub: bytes | None = None
    length: int = 1  # in clock units, as parsed

    def encode(self) -> bytes:
        out = [bytes([self.info])]
        out += [encode_id(link) for link in (self.origin, self.right_origin) if link is not None]
        if self.parent is not None:
            named = isinstance(self.parent, bytes)
            out.append(b"\x01" + buf(self.parent) if named else b"\x00" + encode_id(self.parent))  # type: ignore[arg-type]
        if self.parent_sub is not None:
            out.append(buf(self.parent_sub))
        return b"".join(out) + self.content


@dataclass
class Section:
    client: int
    clock: int
    pieces: list[Piece]

    def encode(self) -> bytes:
        head = var_uint(len(self.pieces)) + var_uint(self.client) + var_uint(self.clock)
        return head + b"".join(piece.encode() for piece in self.pieces)


@dataclass
class Model:
    sections: list[Section] = field(default_factory=list)
    deletes: list[tuple[int, list[Id]]] = field(default_factory=list)  # client, its (clock, length)

    def encode(self) -> bytes:
        out = [var_uint(len(self.sections)), *(section.encode() for section in self.sections)]
        out.append(var_uint(len(self.deletes)))
        for client, ranges in self.deletes:
            out.append(var_uint(client) + var_uint(len(ranges)))
            out += [var_uint(clock) + var_uint(length) for clock, length in ranges]
        return b"".join(out)

    def copy(self) -> "Model":
        sections = [replace(s, pieces=[replace(piece) for piece in s.pieces]) for s in self.sections]
        return Model(sections, [(client, list(ranges)) for client, ranges in self.deletes])


def encode_id(link: Id) -> bytes:
    return var_uint(link[0]) + var_uint(link[1])


def parse(data: bytes) -> Model:
    """Take a valid update apart."""
    model = Model()
    count, position = read_var_uint(data, 0)
    for _ in range(count):
        section, position = _parse_section(data, position)
        model.sections.append(section)
    count, position = read_var_uint(data, position)
    for _ in range(count):
        client, position = read_var_uint(data, position)
        ranges = []
        size, position = read_var_uint(data, position)
        for _ in range(size):
            entry, position = _parse_id(data, position)
            ranges.append(entry)
        model.deletes.append((client, ranges))
    return model


def _parse_section(data: bytes, position: int) -> tuple[Section, int]:
    size, position = read_var_uint(data, position)
    client, position = read_var_uint(data, position)
    clock, position = read_var_uint(data, position)
    section = Section(client, clock, [])
    for _ in range(size):
        piece, position = _parse_piece(data, position)
        section.pieces.append(piece)
    return section, position


def _parse_piece(data: bytes, position: int) -> tuple[Piece, int]:
    info = data[position]
    piece = Piece(info, b"")
    position += 1
    if info not in (0, 10):
        if info & 0x80:
            piece.origin, position = _parse_id(data, position)
        if info & 0x40:
            piece.right_origin, position = _parse_id(data, position)
        if not info & 0xC0:
            if data[position]:
                piece.parent, position = read_buf(data, position + 1)
            else:
                piece.parent, position = _parse_id(data, position + 1)
            if info & 0x20:
                piece.parent_sub, position = read_buf(data, position)
    start = position
    walk = _UpdateWalk(data, CLOCK_LIMIT)
    read = walk._string(position) if info & 0x1F == 4 else walk._content(info, position)
    piece.length, position = read
    piece.content = data[start:position]
    return piece, position


def _parse_id(data: bytes, position: int) -> tuple[Id, int]:
    client, position = read_var_uint(data, position)
    clock, position = read_var_uint(data, position)
    return (client, clock), position
