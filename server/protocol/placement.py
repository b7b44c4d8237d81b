"""Where each struct of a document is: under which parent, and under which key of it.

What no walk of an update alone can see. yrs 0.28 links a struct between its origin and right origin without asking
whether they are in the same place. Between a type's children and an entry of one of its keys, one item hangs on two
chains; deleting the type then frees it twice, which ends the process some of the times (tests/fuzz/crashers). A
format that inherits a key from its origin makes yrs panic whenever that map is observed. What hangs below something
that is no type is an error to yrs, unless that has been deleted before: the log of such a document, merged, is one
that can never be loaded again.
"""

from bisect import bisect_right
from collections.abc import Mapping

from server.protocol.id_set import IdSet
from server.protocol.split_update import ready_structs
from server.protocol.structs import DELETED, FORMAT, GC, TYPE, Id, Struct
from server.protocol.update_shape import MalformedUpdate, UpdateShape

Place = tuple[str | Id, str | None]
"""(name of the root or id of the type, key or None in a sequence)."""


class Placement:
    """The places of a document's structs. All are in the first place that there was, but for those in runs:

    client -> (clocks at which a run begins, the place of each run; None is garbage, which is nowhere).
    """

    def __init__(self) -> None:
        self._first: Place | None = None
        self._runs: dict[int, tuple[list[int], list[Place | None]]] = {}
        self._types = IdSet()
        """Types, and what may have been one before it was deleted."""

    @classmethod
    def of_sequence(cls, root: str, deleted: IdSet) -> "Placement":
        """Of a document that is one sequence under this root, of which these ids are deleted."""
        placement = cls()
        placement._first = root, None
        placement._types = deleted
        return placement

    def only_sequence(self, deleted: IdSet) -> str | None:
        """The root under which all structs are, in one sequence without types, if that is all."""
        if self._first is None or self._runs or self._types.minus(deleted):
            return None
        parent, key = self._first
        return parent if key is None and isinstance(parent, str) else None

    def admit(self, update: bytes, shape: UpdateShape, state: Mapping[int, int]) -> None:
        """Take in an update that a document at `state` can integrate whole.

        Raises MalformedUpdate, and then has taken in nothing.
        """
        first = self._first
        if not shape.names_places and first is not None and first[1] is None and not self._runs:
            return  # all that hangs on structs of a single sequence is there too
        added: list[Struct] = []
        try:
            for struct in ready_structs(update, state):
                place = self._place_of(struct)
                added.append(struct)
                self._add(struct, place)
        except MalformedUpdate:
            self._first = first
            self._remove(added)
            raise

    def _add(self, struct: Struct, place: Place | None) -> None:
        if struct.ref in (TYPE, DELETED, GC):
            self._types.add(struct.client, struct.clock, struct.length)
        if self._first is None:
            self._first = place
        clocks, places = self._runs.get(struct.client, ([], []))
        if (place is None and not places) or place != (places[-1] if places else self._first):
            clocks.append(struct.clock)
            places.append(place)
            self._runs[struct.client] = clocks, places

    def _remove(self, structs: list[Struct]) -> None:
        self._types = self._types.minus(IdSet((part.client, part.clock, part.length) for part in structs))
        for struct in reversed(structs):
            clocks, places = self._runs.get(struct.client, ([], []))
            if clocks and clocks[-1] == struct.clock:
                clocks.pop()
                places.pop()
                if not clocks:
                    del self._runs[struct.client]

    def _place_of(self, struct: Struct) -> Place | None:
        if struct.ref == GC:
            return None
        if struct.parent is not None:
            if not isinstance(struct.parent, str) and not self._types.contains(*struct.parent):
                raise MalformedUpdate(struct.start, "a struct below what is no type")
            return struct.parent, struct.key
        links = [link for link in (struct.origin, struct.right_origin) if link is not None]
        neighbours = {self._at(link) for link in links} - {None}
        if len(neighbours) > 1:
            raise MalformedUpdate(struct.start, "a struct between neighbours of different places")
        place = neighbours.pop() if neighbours else None
        if place is not None and place[1] is not None and struct.ref == FORMAT:
            raise MalformedUpdate(struct.start, "a format as the value of a key")
        return place

    def holds(self, place: Place, item: Id) -> bool:
        """Whether the item, which the document has, is in this place."""
        return self._at(item) == place

    def _at(self, link: Id) -> Place | None:
        client, clock = link
        clocks, places = self._runs.get(client, ([], []))
        index = bisect_right(clocks, clock) - 1
        return places[index] if index >= 0 else self._first
