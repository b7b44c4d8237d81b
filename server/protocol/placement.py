"""Where each struct of a document is: under which parent, and under which key of it.

What no walk of an update alone can see. yrs 0.28 links a struct between its origin and right origin without asking
whether they are in the same place. Between a type's children and an entry of one of its keys, one item hangs on two
chains; deleting the type then frees it twice, which ends the process some of the times (tests/fuzz/crashers). A
format that inherits a key from its origin makes yrs panic whenever that map is observed.
"""

from bisect import bisect_right
from collections.abc import Mapping

from server.protocol.split_update import ready_structs
from server.protocol.structs import FORMAT, GC, Id, Struct
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

    def admit(self, update: bytes, shape: UpdateShape, state: Mapping[int, int]) -> None:
        """Take in an update that a document at `state` can integrate whole.

        Raises MalformedUpdate, and then has taken in nothing.
        """
        if not shape.names_places and self._first is not None and not self._runs:
            return  # all that hangs on structs of a single place is there too
        lengths = {client: len(self._runs[client][0]) for client in shape.structs if client in self._runs}
        try:
            for struct in ready_structs(update, state):
                self._add(struct, self._place_of(struct))
        except MalformedUpdate:
            for client in shape.structs.keys() & self._runs.keys():
                for column in self._runs[client]:
                    del column[lengths.get(client, 0) :]
            raise

    def _add(self, struct: Struct, place: Place | None) -> None:
        if self._first is None and place is not None:
            self._first = place
        clocks, places = self._runs.get(struct.client, ([], []))
        if place != (places[-1] if places else self._first):
            clocks.append(struct.clock)
            places.append(place)
            self._runs[struct.client] = clocks, places

    def _place_of(self, struct: Struct) -> Place | None:
        if struct.ref == GC:
            return None
        links = [link for link in (struct.origin, struct.right_origin) if link is not None]
        if not links:
            return None if struct.parent is None else (struct.parent, struct.key)
        neighbours = {self._at(link) for link in links} - {None}
        if len(neighbours) > 1:
            raise MalformedUpdate(struct.start, "a struct between neighbours of different places")
        place = neighbours.pop() if neighbours else None
        if place is not None and place[1] is not None and struct.ref == FORMAT:
            raise MalformedUpdate(struct.start, "a format as the value of a key")
        return place

    def _at(self, link: Id) -> Place | None:
        client, clock = link
        clocks, places = self._runs.get(client, ([], []))
        index = bisect_right(clocks, clock) - 1
        return places[index] if index >= 0 else self._first
