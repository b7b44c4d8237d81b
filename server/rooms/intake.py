"""The part of taking an update in that may take long: to judge it, and to give it to the engine.

It touches nothing but the document, so it may run in another thread while the room stands still.
"""

from collections.abc import Callable, Container
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from server.engine.document import Document, EngineFailure, MustRebuild
from server.protocol.update_shape import CLOCK_LIMIT, MalformedUpdate, UpdateShape, check_update
from server.rooms.gate import StaleReplica, Verdict, judge
from server.rooms.rules import Law, Ruling


class Applied(NamedTuple):
    """What the engine has taken in. `state_before`: of each client id that brought new structs, its next clock."""

    update: bytes
    shape: UpdateShape
    state_before: dict[int, int]


class Intake(NamedTuple):
    """What became of an update: nothing, where the document held all of it; else `applied`, or `failure`.

    `ruling`: what the document's rules said, if it has any; `correction`: what was applied by it.
    """

    verdict: Verdict
    applied: Applied | None = None
    failure: EngineFailure | MustRebuild | None = None
    ruling: Ruling | None = None
    correction: Applied | None = None


def take_in(
    document: Document,
    update: bytes,
    owner_of: Callable[[int], int | None],
    *,
    user_id: int,
    is_reply: bool,
    relayable: Container[int] = (),
    stale: AbstractSet[int] = frozenset(),
    is_stale: bool = False,
    max_structs: int = CLOCK_LIMIT,
    law: Law | None = None,
) -> Intake:
    """Judge the update as `gate.judge` says and apply what is ready; nothing of a member that `is_stale`.

    Raises MalformedUpdate, TooManyStructs, ForeignClientId, StaleReplica: then nothing was applied.
    """
    verdict = judge(
        update,
        document.contents,
        owner_of,
        user_id=user_id,
        is_reply=is_reply,
        relayable=relayable,
        stale=stale,
        max_structs=max_structs,
    )
    if is_stale:
        raise StaleReplica
    return integrate(document, verdict, law)


def integrate(document: Document, verdict: Verdict, law: Law | None = None) -> Intake:
    """Apply what the verdict says is ready, and the rules accept.

    Raises MalformedUpdate if it is out of place, which applied nothing.
    """
    update, shape, contents = verdict.ready, verdict.shape, document.contents
    if update is None or shape is None:
        return Intake(verdict)
    state = contents.state
    state_before = {client: state.get(client, 0) for client in contents.new_clients(shape)}
    if not state_before and not contents.adds(shape):
        return Intake(verdict)
    if law is not None:
        return _integrate_by(law, document, verdict, update)
    try:
        document.apply(update, shape)
    except (EngineFailure, MustRebuild) as failure:
        return Intake(verdict, failure=failure)
    return Intake(verdict, Applied(update, shape, state_before))


def apply(document: Document, update: bytes) -> Applied:
    """Apply what the rules have let pass. Raises EngineFailure, MustRebuild, MalformedUpdate."""
    shape = check_update(update)
    state = document.contents.state
    state_before = {client: state.get(client, 0) for client in document.contents.new_clients(shape)}
    document.apply(update, shape)
    return Applied(update, shape, state_before)


def _integrate_by(law: Law, document: Document, verdict: Verdict, update: bytes) -> Intake:
    """The rules have taken in what they accept: whatever fails then, document and rules are made anew."""
    ruling = law.judge(update, document.contents.state.get(law.server_id, 0))
    try:
        accepted, correction = (
            None if part is None else apply(document, part) for part in (ruling.accepted, ruling.correction)
        )
    except (EngineFailure, MustRebuild) as failure:
        return Intake(verdict, failure=failure)
    except MalformedUpdate as error:
        return Intake(verdict, failure=EngineFailure(f"out of place: {error}"))
    return Intake(verdict, accepted, ruling=ruling, correction=correction)
