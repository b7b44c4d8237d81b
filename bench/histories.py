"""Made-up editing histories of any length that all end in the same text, one Yjs update an edit.

`sliding`: somebody writes on at the end while the beginning is deleted, as in a log: what is deleted lies together.
`rewriting`: words all over the text are deleted and written anew letter by letter, so that a tombstone is left
between every two words ever written. That is the worst case, since Yjs keeps the place of each of them.
"""

import random
from collections.abc import Callable, Iterator

from server.protocol.varint import var_uint

TEXT_CHARACTERS = 1000
_WORD = 5
_CLIENT = 1
_ROOT = b"\x01\x07content"
_INSERT, _HAS_ORIGIN, _HAS_RIGHT_ORIGIN = 4, 0x80, 0x40


def sliding(edits: int) -> Iterator[bytes]:
    """Type the text, then go on typing one character and deleting the oldest one in turn."""
    inserts = TEXT_CHARACTERS + max(0, edits - TEXT_CHARACTERS) // 2
    for clock in range(inserts):
        letter = b"%c" % (97 + (inserts - clock) % 26)
        yield _inserted(clock, letter, clock - 1 if clock else None, None)
        if clock >= TEXT_CHARACTERS:
            yield _deleted(clock - TEXT_CHARACTERS)


def rewriting(edits: int) -> Iterator[bytes]:
    """Type the text, then delete words at random places and type them again."""
    choice = random.Random(1)
    places = TEXT_CHARACTERS // _WORD
    first = [_WORD * place for place in range(places)]  # clock of each word's first letter
    clock = TEXT_CHARACTERS
    yield from (_inserted(i, _letter(i), i - 1 if i else None, None) for i in range(clock))
    for _ in range((edits - clock) // (2 * _WORD)):
        place = choice.randrange(places)
        old = first[place]
        yield from (_deleted(old + letter) for letter in range(_WORD))
        first[place] = clock
        origin = first[place - 1] + _WORD - 1 if place else None
        for letter in range(_WORD):
            yield _inserted(clock, _letter(place * _WORD + letter), origin, old)
            origin = clock
            clock += 1


HISTORIES: dict[str, Callable[[int], Iterator[bytes]]] = {"sliding": sliding, "rewriting": rewriting}


def _letter(position: int) -> bytes:
    return b"%c" % (97 + position % 26)


def _inserted(clock: int, letter: bytes, origin: int | None, right_origin: int | None) -> bytes:
    info, links = _INSERT, b""
    if origin is not None:
        info, links = info | _HAS_ORIGIN, _id(origin)
    if right_origin is not None:
        info, links = info | _HAS_RIGHT_ORIGIN, links + _id(right_origin)
    struct = bytes((info,)) + (links or _ROOT) + b"\x01" + letter
    return b"\x01\x01" + var_uint(_CLIENT) + var_uint(clock) + struct + b"\x00"


def _deleted(clock: int) -> bytes:
    return b"\x00\x01" + var_uint(_CLIENT) + b"\x01" + var_uint(clock) + b"\x01"


def _id(clock: int) -> bytes:
    return var_uint(_CLIENT) + var_uint(clock)
