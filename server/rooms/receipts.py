"""Word for members that cannot tell from the echo of their updates that they are saved."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from server.protocol.contents import Contents
from server.protocol.update_shape import UpdateShape, check_update
from server.rooms.gate import Verdict
from server.rooms.member import Member

Receipt = Callable[[bool], None]
"""Called once for an update: True when all of it is committed, False if some of it was refused. Never, if the room or
the member goes before that.
"""

_MAX_IDS = 16_384
"""Ranges of ids that are remembered of what one member waits for; beyond, what cannot be saved now is not told."""


class _Expected(NamedTuple):
    shapes: tuple[UpdateShape, ...]
    ids: int
    receipt: Receipt


@dataclass(slots=True)
class _Queue:
    expected: deque[_Expected] = field(default_factory=deque)
    ids: int = 0


class Receipts:
    """Who waits for what; of each member the first first, so that what is told never runs ahead of a gap."""

    def __init__(
        self, contents: Callable[[], Contents], when_committed: Callable[[Callable[[], None]], None]
    ) -> None:
        self._contents = contents
        self._when_committed = when_committed
        self.waiting: dict[Member, _Queue] = {}

    def expect(self, member: Member, verdict: Verdict, receipt: Receipt) -> None:
        """`settle` is to find out whether all that was judged, and not refused, is in the document."""
        shapes = [] if verdict.shape is None else [verdict.shape]
        if verdict.rest is not None:
            shapes.append(check_update(verdict.rest))
        ids = 1 + sum(len(shape.structs) + len(shape.deletes) for shape in shapes)
        queue = self.waiting.setdefault(member, _Queue())
        if queue.expected and queue.ids + ids > _MAX_IDS:
            receipt(False)
        else:
            queue.expected.append(_Expected(tuple(shapes), ids, receipt))
            queue.ids += ids

    def settle(self, member: Member) -> None:
        """The document may hold by now what the member waits for."""
        queue = self.waiting.get(member)
        if queue is None:
            return
        contents = self._contents()
        while queue.expected and not any(contents.adds(shape) for shape in queue.expected[0].shapes):
            _, ids, receipt = queue.expected.popleft()
            queue.ids -= ids
            self._when_committed(partial(receipt, True))
        if not queue.expected:
            self.drop(member)

    def settle_all_of(self, user_id: int) -> None:
        """The same for every member of this user, on whose behalf something was merged."""
        for member in [each for each in self.waiting if each.user_id == user_id]:
            self.settle(member)

    def drop(self, member: Member) -> None:
        """The member has left, or waits for nothing."""
        self.waiting.pop(member, None)
