"""How the server puts right what a refused update has left in its author's replica, and nobody can take back."""

from collections.abc import Callable
from dataclasses import dataclass, field

from server.protocol.structs import Id
from server.replica.nodes import Chain, Node
from server.replica.pen import Clip, Pen, Winner, clip_node, name_of
from server.replica.replica import Replica


@dataclass(slots=True)
class Wrongs:
    """What is wrong in the author's replica.

    `fillers`: what it has and nobody else. `removed`: what it deleted and may not; of what held others, these too.
    `lost`: keys that have lost their value by that, with the node whose value it was. `resent`: the items of drafts
    that are messages already.
    """

    fillers: list[Node] = field(default_factory=list)
    removed: dict[Node, None] = field(default_factory=dict)
    lost: dict[Chain, Node] = field(default_factory=dict)
    resent: list[Node] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.fillers or self.removed or self.lost or self.resent)


def correct(
    replica: Replica, at: Id, wrongs: Wrongs, winner: Winner, copy_of: Callable[[Node], Clip]
) -> bytes | None:
    """An update under the server's client id `at[0]` from clock `at[1]` on; None if nothing is wrong.

    What was refused is deleted. What was deleted stays so, for all, and is set again: a key's value behind all that
    was set there, an item (as `copy_of` has it) right behind the deleted one.
    """
    pen = Pen(at)
    for node in (*wrongs.fillers, *wrongs.resent):
        pen.delete(node.id, node.length)
    for chain, node in wrongs.lost.items():
        pen.set(name_of(chain.branch, replica.roots), chain, chain.key or "", clip_node(node, winner))
    for removed in wrongs.removed:
        pen.delete(removed.id, removed.length)
        home = removed.home
        if home is not None and home.key is None and home.branch.item not in wrongs.removed:
            right_origin = None if removed.right is None else removed.right.id
            parent = name_of(home.branch, replica.roots)
            pen.put(copy_of(removed), removed.last_id, right_origin, parent)
    return pen.update()
