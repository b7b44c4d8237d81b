"""Keeps an engine that cannot cut a character in two equal to Yjs, which can.

Clocks of text count UTF-16 code units, and a character beyond U+FFFF takes two of them, a surrogate pair. Any
id of an update may name one half. Where Yjs splits a string between the halves, both turn into U+FFFD, in
every replica (yjs#248); yrs cuts at the character's end instead, and from then on shows something else or
panics. So the engine is fed updates in which the pairs that get cut have been replaced already: the length in
UTF-16 units stays, so all ids stay. What clients sent is logged and relayed as it was.
"""

import re
from collections.abc import Container, Iterable, Iterator

from server.protocol.id_set import IdSet
from server.protocol.structs import SKIP, STRING, Id, Struct, in_order, read_structs, write_update

_REPLACEMENT = "\ufffd"
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
# In UTF-8: a character of four bytes, or U+FFFD. Varints may look alike, which only costs a closer look.
_SUSPICIOUS = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}|\xef\xbf\xbd")


def low_halves(update: bytes) -> Iterator[Id]:
    """(client, clock) of the second half of every pair in the update's strings. Raises MalformedBytes."""
    return _low_halves(read_structs(update)[0])


def cuts(update: bytes) -> Iterator[Id]:
    """(client, clock) before which a Yjs document splits what it holds, when it applies the update.

    Before each struct and after it, after an origin, before a right origin, and at both ends of each
    deletion. Raises MalformedBytes.
    """
    return _cuts(*read_structs(update))


def with_pairs_replaced(update: bytes, positions: Container[Id]) -> bytes:
    """U+FFFD twice for every character whose low half is in `positions`. Raises MalformedBytes."""
    structs, deletes = read_structs(update)
    replaced = [_with_pairs_replaced(struct, positions) for struct in structs]
    if all(new is old for new, old in zip(replaced, structs, strict=True)):
        return update
    return write_update(in_order(replaced), deletes)


class SurrogateGuard:
    """Which pairs of one document have been cut. Costs next to nothing until a document has its first pair.

    Show it every update (`admit`), the engine's own too, in the order in which the engine gets them, each ready
    when its turn comes, and feed the engine what `rewrite` returns. When `admit` returns something, the engine
    holds pairs that are now cut: feed all kept updates, rewritten, to a new engine.
    """

    __slots__ = ("_halves", "_replaced")

    def __init__(self) -> None:
        self._halves: set[Id] = set()
        self._replaced: set[Id] = set()

    @property
    def active(self) -> bool:
        """Whether there has been anything to guard."""
        return bool(self._halves or self._replaced)

    def admit(self, update: bytes) -> set[Id]:
        """Take note of an update; return the low halves that it cuts off and that came in an earlier one.

        Raises MalformedBytes.
        """
        if not self.active and _SUSPICIOUS.search(update) is None:
            return set()
        structs, deletes = read_structs(update)
        new = set(_low_halves(structs)) - self._halves
        torn: set[Id] = set()
        for cut in _cuts(structs, deletes):
            if cut in self._replaced:
                continue
            if cut in self._halves:
                torn.add(cut)
            elif cut in new:
                self._replaced.add(cut)
        self._replaced |= torn
        self._replaced.update(_lone_ends(structs))
        self._halves |= new
        return torn

    def rewrite(self, update: bytes) -> bytes:
        """What the engine gets for an admitted update. Raises MalformedBytes."""
        if not self._replaced or _SUSPICIOUS.search(update) is None:
            return update
        return with_pairs_replaced(update, self._replaced)


def _low_halves(structs: Iterable[Struct]) -> Iterator[Id]:
    for struct in structs:
        if struct.ref == STRING:
            for nth, match in enumerate(_ASTRAL.finditer(struct.text), start=1):
                yield struct.client, struct.clock + match.start() + nth


def _cuts(structs: Iterable[Struct], deletes: IdSet) -> Iterator[Id]:
    for struct in structs:
        if struct.ref == SKIP:
            continue
        yield struct.client, struct.clock
        yield struct.client, struct.clock + struct.length
        if struct.origin is not None:
            yield struct.origin[0], struct.origin[1] + 1
        if struct.right_origin is not None:
            yield struct.right_origin
    for client, clock, length in deletes:
        yield client, clock
        yield client, clock + length


def _lone_ends(structs: Iterable[Struct]) -> Iterator[Id]:
    """Ends of strings that end in U+FFFD: perhaps half of a pair that its author holds in one piece.

    Somebody who types the halves one by one sends two U+FFFD, and keeps the whole character, which a later
    update of theirs may bring once more.
    """
    for struct in structs:
        if struct.ref == STRING and struct.source.endswith(b"\xef\xbf\xbd", struct.content, struct.end):
            yield struct.client, struct.clock + struct.length


def _with_pairs_replaced(struct: Struct, positions: Container[Id]) -> Struct:
    if struct.ref != STRING:
        return struct
    text = struct.text
    parts: list[str] = []
    done = 0
    for nth, match in enumerate(_ASTRAL.finditer(text), start=1):
        if (struct.client, struct.clock + match.start() + nth) in positions:
            parts += (text[done : match.start()], _REPLACEMENT * 2)
            done = match.end()
    return struct.with_text("".join(parts) + text[done:]) if parts else struct
