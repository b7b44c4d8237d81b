"""The same content under other client ids: the identity of what a document holds, made anew.

A document that is restored gets new ids throughout. Whatever a replica of the old content brings then names ids that
are not the document's any more, and can be told from what the new one's replicas write.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from server.protocol.id_set import IdSet
from server.protocol.structs import in_order, read_structs, write_update
from server.protocol.update_shape import UpdateShape


def clients_of(shape: UpdateShape) -> set[int]:
    """Every client id that an update names: of its structs, of what they hang on, of what it deletes."""
    return {*shape.structs, *shape.depends, *(client for client, _, _ in shape.deletes)}


def new_names(clients: Iterable[int], taken: Collection[int], random_id: Callable[[], int]) -> dict[int, int]:
    """A fresh id for each client, in the same order: where two wrote at one place, the lower id stands first."""
    old = sorted(clients)
    new: set[int] = set()
    while len(new) < len(old):
        candidate = random_id()
        if candidate not in taken:
            new.add(candidate)
    return dict(zip(old, sorted(new), strict=True))


def rename_clients(update: bytes, names: Mapping[int, int]) -> bytes:
    """The update with these client ids replaced wherever they stand; others stay. Raises MalformedBytes."""
    structs, deletes = read_structs(update)
    renamed = (struct.renamed(names) for struct in structs)
    ids = IdSet((names.get(client, client), clock, length) for client, clock, length in deletes)
    return write_update(in_order(renamed), ids)
