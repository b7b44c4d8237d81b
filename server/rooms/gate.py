"""What an update must pass before it touches a document: its shape, its author's ids, and that nothing is missing.

Pure: the room acts on the verdict.
"""

from collections.abc import Callable, Container
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from server.protocol.contents import Contents
from server.protocol.rename_clients import clients_of
from server.protocol.split_update import split_ready, without_new
from server.protocol.update_shape import CLOCK_LIMIT, UpdateShape, check_update


class ForeignClientId(Exception):
    """An edit under a client id that is bound to another user."""

    def __init__(self, client_id: int) -> None:
        super().__init__(f"client id {client_id} belongs to another user")


class StaleReplica(Exception):
    """What a client has, or brings, belongs to an earlier epoch of the document."""

    def __init__(self) -> None:
        super().__init__("the document was restored or made anew since you loaded it: load it again")


class Verdict(NamedTuple):
    """`ready` (with its shape) goes to the engine, the log and the others; None: nothing. `rest` waits for what it
    builds on. `acknowledged` is what the author hears of again; `refused` are client ids whose structs were left out.
    """

    ready: bytes | None = None
    shape: UpdateShape | None = None
    acknowledged: bytes = b""
    rest: bytes | None = None
    refused: tuple[int, ...] = ()


def judge(
    update: bytes,
    contents: Contents,
    owner_of: Callable[[int], int | None],
    *,
    user_id: int,
    is_reply: bool,
    relayable: Container[int] = (),
    stale: AbstractSet[int] = frozenset(),
    max_structs: int = CLOCK_LIMIT,
) -> Verdict:
    """Decide on an update for a document that holds `contents`. `owner_of`: client id -> user id, or None.

    New structs under somebody else's client id are refused. In an edit of its own that is forgery:
    raises ForeignClientId. A reply carries whatever the sender's replica holds, and a replica may have heard from
    other tabs what we have not yet: there the rest counts. Of `relayable` ids a reply may bring anything: after a
    crash, others may hold edits that they were shown and that were never committed, and build on them.
    `stale`: client ids of earlier epochs; what names one of them raises StaleReplica, merely new ids never do.
    Raises MalformedUpdate, TooManyStructs.
    """
    shape = check_update(update, max_structs)
    if stale and not stale.isdisjoint(clients_of(shape)):
        raise StaleReplica
    refused = tuple(
        client
        for client in contents.new_clients(shape)
        if owner_of(client) not in (None, user_id) and not (is_reply and client in relayable)
    )
    if refused:
        if not is_reply:
            raise ForeignClientId(refused[0])
        update = without_new(update, contents.state, frozenset(refused))
        shape = check_update(update)
    if shape.is_empty:
        return Verdict(refused=refused)
    if contents.continued_by(shape):
        return Verdict(update, shape, update, refused=refused)
    ready, rest = split_ready(update, contents.state)
    if ready is None and rest is None:  # all known
        return Verdict(update, shape, update, refused=refused)
    if ready is None:
        return Verdict(rest=rest, refused=refused)
    acknowledged = update if rest is None else ready
    return Verdict(ready, shape if ready is update else check_update(ready), acknowledged, rest, refused)
