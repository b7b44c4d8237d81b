"""What a document holds, as ids: the next clock of each client, and which ids are deleted.

Kept beside the engine because the engine does not say whether an update would leave a gap or adds anything at all.
"""

from server.protocol.id_set import IdSet
from server.protocol.update_shape import UpdateShape


class Contents:
    """`state`: client id -> next clock. `deleted`: ids that some update has deleted."""

    __slots__ = ("deleted", "state")

    def __init__(self, state: dict[int, int] | None = None, deleted: IdSet | None = None) -> None:
        self.state = {} if state is None else state
        self.deleted = IdSet() if deleted is None else deleted

    def connects(self, shape: UpdateShape) -> bool:
        """Whether it is plain that everything in the update can be integrated now.

        False also where only a closer look can tell: with skips, or structs of several clients, which might wait
        for one another in a circle (then `split_ready` decides).
        """
        if shape.has_skips or len(shape.structs) > 1:
            return False
        state, structs = self.state, shape.structs
        for client, (first, _) in structs.items():
            if first > state.get(client, 0):
                return False
        for client, clock in shape.depends.items():
            if clock > state.get(client, 0) and client not in structs:
                return False
        return all(
            clock + length <= max(state.get(client, 0), structs.get(client, (0, 0))[1])
            for client, clock, length in shape.deletes
        )

    def adds(self, shape: UpdateShape) -> bool:
        """Whether anything in the update is not known yet."""
        return any(end > self.state.get(client, 0) for client, (_, end) in shape.structs.items()) or any(
            not self.deleted.contains(client, clock, length) for client, clock, length in shape.deletes
        )

    def new_clients(self, shape: UpdateShape) -> list[int]:
        """The client ids of which the update holds structs that are not known yet."""
        return [client for client, (_, end) in shape.structs.items() if end > self.state.get(client, 0)]

    def advance(self, shape: UpdateShape) -> None:
        """Take in an update that has been integrated."""
        state = self.state
        for client, (_, end) in shape.structs.items():
            if end > state.get(client, 0):
                state[client] = end
        for client, clock, length in shape.deletes:
            self.deleted.add(client, clock, length)
