"""What a document holds, as ids: the next clock of each client, and which ids are deleted.

Kept beside the engine because the engine does not say whether an update would leave a gap or adds anything at all.
"""

from server.protocol.id_set import IdSet
from server.protocol.update_shape import UpdateShape, fits


class Contents:
    """`state`: client id -> next clock. `deleted`: ids that some update has deleted."""

    __slots__ = ("deleted", "state")

    def __init__(self) -> None:
        self.state: dict[int, int] = {}
        self.deleted = IdSet()

    def continued_by(self, shape: UpdateShape) -> bool:
        """Whether it is plain that the engine can integrate the update as it stands.

        False also where only a closer look can tell: structs of several clients might wait for one another in a
        circle (then `split_ready` decides).
        """
        state, structs = self.state, shape.structs
        if len(structs) > 1 or not fits(shape, state):
            return False
        return not shape.deletes or all(
            clock + length <= max(state.get(client, 0), structs.get(client, (0, 0))[1])
            for client, clock, length in shape.deletes
        )

    def adds(self, shape: UpdateShape) -> bool:
        """Whether anything in the update is not known yet."""
        return bool(self.new_clients(shape)) or any(
            not self.deleted.contains(client, clock, length) for client, clock, length in shape.deletes
        )

    def new_clients(self, shape: UpdateShape) -> list[int]:
        """The client ids of which the update holds structs that are not known yet."""
        state = self.state
        return [client for client, (_, end) in shape.structs.items() if end > state.get(client, 0)]

    def advance(self, shape: UpdateShape) -> None:
        """Take in an update that has been integrated."""
        state = self.state
        for client, (_, end) in shape.structs.items():
            if end > state.get(client, 0):
                state[client] = end
        for client, clock, length in shape.deletes:
            self.deleted.add(client, clock, length)
