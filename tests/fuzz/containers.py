"""What no walk of an update alone can see: in which container (parent, key) the neighbours of a struct are.

yrs 0.28 links a struct between its origin and right origin without comparing where they are. Between a type's
children and one of its keys' entries, one item hangs on two chains, and deleting the type frees it twice
(`ItemContent::gc` in block.rs walks both): a use after free that ends the process some of the times. A format that
inherits a key from its origin makes `event_keys` (types/mod.rs:806) panic in any observer of that map.
"""

from tests.fuzz.update_model import Id, Model, Piece, parse

Container = tuple[bytes | Id, bytes | None]  # (root name or id of the type, map key or None for a sequence)
_FORMAT = 6


class Containers:
    def __init__(self) -> None:
        self._ranges: dict[int, list[tuple[int, int, Container | None]]] = {}  # None: not an item any more

    def of(self, link: Id) -> Container | None:
        """None for what is unknown, garbage collected or in something that is."""
        client, clock = link
        for start, end, container in self._ranges.get(client, ()):
            if start <= clock < end:
                return container
        return None

    def is_known(self, link: Id) -> bool:
        return any(start <= link[1] < end for start, end, _ in self._ranges.get(link[0], ()))

    def add(self, model: Model) -> bool:
        """Take in an update's structs; False if one of them is misplaced."""
        waiting = [
            (section.client, clock, piece)
            for section in model.sections
            for clock, piece in with_clocks(section.clock, section.pieces)
        ]
        well_placed = True
        while True:
            later = []
            for client, clock, piece in waiting:
                links = [link for link in (piece.origin, piece.right_origin) if link is not None]
                if not all(self.is_known(link) for link in links):
                    later.append((client, clock, piece))
                    continue
                found = [self.of(link) for link in links]
                well_placed = well_placed and is_well_placed(piece, found)
                container = next((place for place in found if place is not None), None)
                if piece.parent is not None:
                    container = (piece.parent, piece.parent_sub)
                if not self.is_known((client, clock)):
                    self._ranges.setdefault(client, []).append((clock, clock + piece.length, container))
            if len(later) == len(waiting):
                return well_placed
            waiting = later


def is_well_placed(piece: Piece, neighbours: list[Container | None]) -> bool:
    known = {place for place in neighbours if place is not None}
    if len(known) > 1:
        return False
    return piece.info & 0x1F != _FORMAT or all(key is None for _, key in known)


def with_clocks(clock: int, pieces: list[Piece]) -> list[tuple[int, Piece]]:
    found = []
    for piece in pieces:
        found.append((clock, piece))
        clock += piece.length
    return found


def is_misplaced(state: bytes, update: bytes) -> bool:
    """Whether an update puts a struct between neighbours of different containers, in `state` or by itself."""
    containers = Containers()
    if state:
        containers.add(parse(state))
    return not containers.add(parse(update))
