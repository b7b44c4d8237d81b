"""Ways to spoil an update: its bytes, its numbers, or its structs (these mostly stay well-formed and go deepest)."""

from collections.abc import Callable

from server.protocol.update_shape import MalformedUpdate
from server.protocol.varint import MalformedBytes, buf, var_uint
from tests.fuzz.documents import Editor
from tests.fuzz.update_model import Id, Model, Piece, Section, parse

BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0xF0, 0x0A)
NUMBERS = (0, 1, 2, 63, 64, 127, 128, 255, 2**14, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1)
CONTENTS: list[tuple[int, bytes]] = [
    (0, b"\x01"), (0, b"\x85\x80\x80\x01"), (10, b"\x03"), (1, b"\x02"), (1, var_uint(2**31 - 100)),
    (3, buf(b"\x00\xff")),
    (4, buf(b"ab")), (4, buf("😀".encode())), (4, buf("é\x00漢".encode())), (5, buf(b"{}")), (5, buf(b'"x"')),
    (6, buf(b"b") + buf(b"null")), (6, buf(b"") + buf(b"true")), (7, b"\x00"), (7, b"\x01"), (7, b"\x02"),
    (7, b"\x03" + buf(b"p")), (7, b"\x04"), (7, b"\x06"), (8, b"\x01\x7e"), (8, b"\x03\x7d\x01\x77\x01a\x75\x00"),
    (8, b"\x02\x76\x01\x01k\x7f\x7b\x7f\xf8\x00\x00\x00\x00\x00\x00"), (9, buf(b"g") + b"\x76\x00"),
    (9, buf(b"g") + b"\x76\x01" + buf(b"autoLoad") + b"\x78"),
]  # fmt: skip


def mutate(rng: Editor, update: bytes, other: bytes) -> bytes:
    """One mutant of `update`; `other` lends parts."""
    if rng.random() < 0.4:
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            update = rng.choice(BYTE_EDITS)(rng, update, other)
        return update
    try:
        model, donor = parse(update), parse(other)
    except (MalformedUpdate, MalformedBytes, IndexError):
        return flip(rng, update, other)
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        rng.choice(MODEL_EDITS)(rng, model, donor)
    return model.encode()


def flip(rng: Editor, update: bytes, _other: bytes) -> bytes:
    if not update:
        return bytes([rng.choice(BYTES)])
    at = rng.randrange(len(update))
    byte = rng.choice([*BYTES, update[at] ^ 1 << rng.randrange(8), rng.randrange(256)])
    return update[:at] + bytes([byte]) + update[at + 1 :]


def put_number(rng: Editor, update: bytes, _other: bytes) -> bytes:
    at = rng.randint(0, len(update))
    return update[:at] + var_uint(rng.choice(NUMBERS)) + update[at + rng.randrange(3) :]


def truncate(rng: Editor, update: bytes, _other: bytes) -> bytes:
    return update[: rng.randint(0, len(update))] + rng.choice([b"", b"", b"\x00"])


def splice(rng: Editor, update: bytes, other: bytes) -> bytes:
    return update[: rng.randint(0, len(update))] + other[rng.randint(0, len(other)) :]


def repeat(rng: Editor, update: bytes, _other: bytes) -> bytes:
    start, stop = sorted(rng.randint(0, len(update)) for _ in range(2))
    return update[:stop] + update[start:]


BYTE_EDITS: list[Callable[[Editor, bytes, bytes], bytes]] = [
    flip,
    flip,
    flip,
    put_number,
    truncate,
    splice,
    repeat,
]


def some_id(rng: Editor, model: Model, donor: Model) -> Id:
    """Mostly one that exists, in this update or near it."""
    sections = model.sections + donor.sections
    if not sections or rng.random() < 0.1:
        return rng.choice(NUMBERS), rng.choice(NUMBERS)
    section = rng.choice(sections)
    reach = section.clock + rng.randint(0, 2 * len(section.pieces) + 4)
    return section.client, rng.choice(
        [reach, rng.randint(0, reach), max(0, section.clock - rng.randint(1, 4))]
    )


def some_section(rng: Editor, model: Model) -> Section:
    if not model.sections:
        model.sections.append(Section(3, 0, [Piece(4, buf(b"s"), parent=b"text")]))
    return rng.choice(model.sections)


def some_piece(rng: Editor, model: Model) -> Piece:
    return rng.choice(some_section(rng, model).pieces or [Piece(4, buf(b"s"))])


def change_clock(rng: Editor, model: Model, _donor: Model) -> None:
    section = some_section(rng, model)
    section.clock = max(0, rng.choice([section.clock + rng.randint(-3, 3), rng.choice(NUMBERS), 0]))


def change_client(rng: Editor, model: Model, donor: Model) -> None:
    some_section(rng, model).client = some_id(rng, model, donor)[0]


def change_links(rng: Editor, model: Model, donor: Model) -> None:
    piece = some_piece(rng, model)
    if piece.info in (0, 10):
        return
    kind = piece.info & 0x1F
    piece.origin = some_id(rng, model, donor) if rng.random() < 0.5 else None
    piece.right_origin = some_id(rng, model, donor) if rng.random() < 0.5 else None
    piece.parent = piece.parent_sub = None
    if piece.origin is None and piece.right_origin is None:
        roots = [b"text", b"list", b"map", b"xml", b"", b"new"]
        piece.parent = rng.choice(roots) if rng.random() < 0.5 else some_id(rng, model, donor)
        piece.parent_sub = rng.choice([None, b"k", b"key", b"", b"title"])
    piece.info = kind | (piece.origin is not None) << 7 | (piece.right_origin is not None) << 6
    piece.info |= (piece.parent_sub is not None) << 5


def change_content(rng: Editor, model: Model, donor: Model) -> None:
    piece = some_piece(rng, model)
    kind, content = rng.choice(CONTENTS)
    if kind in (0, 10):
        piece.origin = piece.right_origin = piece.parent = piece.parent_sub = None
        piece.info = kind
    elif piece.info in (0, 10):
        piece.info = kind
        piece.parent = rng.choice([b"text", b"list", b"map", b"xml"])
        change_links(rng, model, donor)
    piece.info = piece.info & 0xE0 | kind
    piece.content = content


def copy_piece(rng: Editor, model: Model, donor: Model) -> None:
    section = some_section(rng, model)
    lender = rng.choice([some_section(rng, model), some_section(rng, donor)])
    if lender.pieces:
        borrowed = Piece(**vars(rng.choice(lender.pieces)))
        section.pieces.insert(rng.randint(0, len(section.pieces)), borrowed)


def drop_piece(rng: Editor, model: Model, _donor: Model) -> None:
    pieces = some_section(rng, model).pieces
    if pieces:
        del pieces[rng.randrange(len(pieces))]


def swap_pieces(rng: Editor, model: Model, _donor: Model) -> None:
    rng.shuffle(some_section(rng, model).pieces)


def copy_section(rng: Editor, model: Model, donor: Model) -> None:
    model.sections.append(rng.choice([some_section(rng, model), some_section(rng, donor)]))


def drop_section(rng: Editor, model: Model, _donor: Model) -> None:
    if model.sections:
        del model.sections[rng.randrange(len(model.sections))]


def add_delete(rng: Editor, model: Model, donor: Model) -> None:
    client, clock = some_id(rng, model, donor)
    entry = (clock, rng.choice([1, 1, 2, 5, 0, rng.choice(NUMBERS)]))
    for known, ranges in model.deletes:
        if known == client:
            ranges.append(entry)
            if rng.random() < 0.8:
                ranges.sort()
            return
    model.deletes.append((client, [entry]))


def drop_deletes(rng: Editor, model: Model, _donor: Model) -> None:
    if model.deletes:
        del model.deletes[rng.randrange(len(model.deletes))]


MODEL_EDITS: list[Callable[[Editor, Model, Model], None]] = [
    change_clock, change_client, change_links, change_links, change_links, change_content, change_content, copy_piece,
    copy_piece, drop_piece, swap_pieces, copy_section, drop_section, add_delete, add_delete, drop_deletes,
]  # fmt: skip
