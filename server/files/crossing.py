"""Which edits crossed: what was there when an author came back with edits, and had not been seen by its author. PURE.

Everybody is told of edits in the order in which they are stored. So whoever has seen one has seen all before it; only
where nothing but deletions follows, which have no clocks, it takes a look at which of those the author names itself.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from server.files.versions import WrittenBy
from server.protocol.id_set import IdSet
from server.protocol.update_shape import UpdateShape, check_update


class Crossed(NamedTuple):
    """`seen`: up to where author and others agree. After it come `known`, what the author knew too, `others`, what it
    did not, and `mine`, what it wrote itself, the change among that.
    """

    seen: WrittenBy
    known: Sequence[WrittenBy]
    others: Sequence[WrittenBy]
    mine: Sequence[WrittenBy]


class _Author:
    """`lacked`: client id -> from which clock on it lacked what was there."""

    def __init__(self, author_id: int, lacked: Mapping[int, int], change: WrittenBy) -> None:
        self._author_id = author_id
        self._lacked = lacked
        self._deleted = IdSet()
        for deletion in check_update(change.data).deletes:
            self._deleted.add(*deletion)

    def has_all(self, shape: UpdateShape) -> bool:
        return all(end <= self._lacked.get(client, end) for client, (_, end) in shape.structs.items())

    def knows(self, each: WrittenBy, shape: UpdateShape) -> bool:
        if shape.structs or each.author_id == self._author_id:
            return self.has_all(shape)
        return all(self._deleted.contains(*deletion) for deletion in shape.deletes)


def what_crossed(
    written: Sequence[WrittenBy], author_id: int, lacked: Mapping[int, int], *, is_whole: bool
) -> Crossed | None:
    """Of the last that was written before a change, and the change itself, which comes last.

    None: nothing crossed. Raises LookFurther unless `is_whole`; takes time by what was written.
    """
    *before, change = written
    author = _Author(author_id, lacked, change)
    shapes = [check_update(each.data) for each in before]
    last_seen = -1
    for index, (each, shape) in enumerate(zip(before, shapes, strict=True)):
        if shape.structs and each.author_id != author_id and author.has_all(shape):
            last_seen = index
    after = range(last_seen + 1, len(before))
    unknown = [index for index in after if not author.knows(before[index], shapes[index])]
    missing = dict(lacked)
    for index in unknown:
        for client, (start, _) in shapes[index].structs.items():
            if start <= missing.get(client, -1):
                del missing[client]
    if not is_whole and (missing or unknown[:1] == [0]):
        raise LookFurther
    if not unknown or unknown[0] == 0:
        return None
    are_others = set(unknown)
    rest = [before[index] for index in range(unknown[0], len(before)) if index not in are_others]
    return Crossed(
        before[unknown[0] - 1],
        [each for each in rest if each.author_id != author_id],
        [before[index] for index in unknown],
        [*(each for each in rest if each.author_id == author_id), change],
    )


class LookFurther(Exception):
    """What the author had seen lies further back."""
