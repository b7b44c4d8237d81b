"""The gate of a document with rules: what of an update may be, and what is put in the place of the rest.

A refused struct is not left out, since its author's clocks would have a hole that nothing of it could ever pass.
What stands in its place says nothing: deleted content of the same ids between the same neighbours, so that what its
author writes next to it later finds its place. Only what hangs on garbage, or below what is refused, becomes garbage
itself (as Yjs would make it). What the author's own replica then shows too much or too little of, the server puts
right: it deletes what was refused, and sets anew what was overwritten or deleted, for deletions cannot be undone.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

from server.protocol.id_set import IdSet
from server.protocol.structs import DELETED, GC, Id, Struct, in_order, write_update
from server.replica.correcting import Wrongs, correct
from server.replica.fillers import as_deleted, as_garbage
from server.replica.nodes import Chain, Node
from server.replica.pen import Clip, clip_node
from server.replica.replica import Placed, Replica

MAX_REFUSALS = 50
"""As many are told; of more nobody reads more."""


class Refusal(NamedTuple):
    """`kind` is one of the document's own reasons; `text` is for the sender."""

    kind: str
    text: str


class Judged(NamedTuple):
    """What goes on of an update, and the server's own one to be applied after it; None: nothing."""

    accepted: bytes | None
    correction: bytes | None


class Judging(ABC):
    """One update, judged by the rules of a kind of document, which the subclass has.

    Structs are placed first, for where they stand is the same whatever stands in their place.
    """

    def __init__(self, replica: Replica, max_steps: int) -> None:
        """`max_steps`: nodes that it may pass to find its places."""
        self._replica = replica
        self._placed = Placed(max_steps)
        self._new: dict[Node, Struct] = {}
        self._wrongs = Wrongs()
        self._filled: set[Node] = set()
        """New nodes in whose place stands a filler."""
        self._dead: set[Node] = set()
        """New nodes that their author has deleted again."""
        self._let_go: set[Node] = set()
        """Old nodes that may be deleted."""
        self._reasons: dict[Node, Refusal] = {}
        """Of new nodes."""
        self._refusals: dict[Refusal, None] = {}
        self._blamed: set[Chain] = set()

    # The rules

    @abstractmethod
    def check(self, node: Node, chain: Chain) -> Refusal | None:
        """Why a struct of the update, which stands in a live branch, may not be."""

    @abstractmethod
    def check_deletion(self, node: Node, chain: Chain) -> Refusal | None:
        """Why the user may not delete a live node that was there before."""

    @abstractmethod
    def may_unset(self, chain: Chain) -> bool:
        """Whether the user may leave this key without a value."""

    @abstractmethod
    def removal(self, chain: Chain) -> Refusal:
        """What to say of a value that may not be taken away."""

    @abstractmethod
    def nowhere(self, struct: Struct, *, is_tangled: bool) -> Refusal:
        """What to say of a struct that stands nowhere; `is_tangled`: since its place was too hard to find."""

    @abstractmethod
    def refused(self, node: Node, chain: Chain, refusal: Refusal) -> None:
        """A struct of the update was refused."""

    @abstractmethod
    def touched(self, chain: Chain, node: Node | None = None) -> None:
        """Something there is to change; by `node`, if it is not taken away."""

    @abstractmethod
    def finish(self) -> None:
        """All structs and deletions are judged one by one: judge what they come to."""

    def copy_of(self, node: Node) -> Clip:
        """What is put where a node was taken away that may not be."""
        return clip_node(node, self._winner)

    # At work

    def judge_update(self, update: bytes, at: Id) -> Judged:
        """`at`: the server's client id and its next clock. The replica has then taken in what comes of it."""
        replica = self._replica
        structs, deletes = replica.read(update)
        for struct in structs:
            self._place(struct, deletes)
        for node, struct in self._new.items():
            self._judge_struct(node, struct)
        if deletes:
            self._judge_deletions(deletes)
        self.finish()
        correction = None
        if self._filled or self._dead or self._wrongs:
            self._find_losses()
            correction = correct(replica, at, self._wrongs, self._winner, self.copy_of)
        accepted, kept = self._accepted(update, deletes)
        replica.settle(self._placed, kept)
        return Judged(accepted, correction)

    # Structs

    def _place(self, struct: Struct, deletes: IdSet) -> None:
        is_dead = struct.ref == DELETED or deletes.contains(struct.client, struct.clock, struct.length)
        node = self._replica.place(struct, self._placed, is_blank=is_dead or struct.length > 1)
        self._new[node] = struct
        if is_dead:
            self._dead.add(node)

    def _judge_struct(self, node: Node, struct: Struct) -> None:
        chain = node.home
        if struct.ref == GC:
            return
        if chain is None or not chain.branch.is_alive:
            self._fill(node)
            why = self._reasons[node] = self._why_nowhere(node, struct)
            if node not in self._dead:
                self._refusals[why] = None
            return
        if node in self._dead:
            self._fill(node)
            self.touched(chain)
            return
        refusal = self.check(node, chain)
        if refusal is None:
            self.touched(chain, node)
        else:
            self._refuse(node, chain, refusal)

    def _fill(self, node: Node) -> None:
        node.content = None
        self._filled.add(node)
        if node not in self._dead:
            self._wrongs.fillers.append(node)

    def _refuse(self, node: Node, chain: Chain, refusal: Refusal) -> None:
        self._fill(node)
        self._blamed.add(chain)
        self._reasons[node] = refusal
        self._refusals[refusal] = None
        self.refused(node, chain, refusal)

    def _why_nowhere(self, node: Node, struct: Struct) -> Refusal:
        for link in (struct.origin, struct.right_origin, struct.parent):
            reason = self._reasons.get(self._replica.find(link)) if isinstance(link, tuple) else None
            if reason is not None:
                return reason
        return self.nowhere(struct, is_tangled=node in self._placed.tangled)

    # Deletions

    def _judge_deletions(self, deletes: IdSet) -> None:
        nodes = self._replica.live_among(deletes)
        for node in sorted(nodes, key=lambda node: node.branch is None):  # what holds others first
            chain = node.home
            if chain is None or (chain.key is not None and chain.last is not node):
                continue  # overwritten, and so deleted anyway
            item = chain.branch.item
            if item in self._let_go or (item is not None and _is_overwritten(item)):
                continue
            if item in self._wrongs.removed:
                self._wrongs.removed[node] = None
                continue
            refusal = self.check_deletion(node, chain)
            if refusal is None:
                self._let_go.add(node)
                self.touched(chain)
            else:
                self._wrongs.removed[node] = None
                self._blamed.add(chain)
                self._refusals[refusal] = None

    # What the update comes to

    def _winner(self, chain: Chain) -> Node | None:
        """What the key holds if nothing is refused."""
        last, before = chain.last, self._placed.before
        if last is None or (last.content is not None and last not in self._let_go):
            return last
        if chain not in before:
            return None
        held: Node | None = None
        for node in chain.since(before[chain] or chain.first):
            if node.content is not None:
                held = None if node in self._let_go else node
            elif node in self._dead and self.may_unset(chain):
                held = None
        return held

    def _find_losses(self) -> None:
        """Of which keys the value is gone, though it may not be."""
        removed = self._wrongs.removed
        chains = dict.fromkeys(self._placed.before)
        chains.update(
            (node.home, None) for node in removed if node.home is not None and node.home.key is not None
        )
        for chain in chains:
            item = chain.branch.item
            if not chain.branch.is_alive or item in removed or item in self._let_go:
                continue
            if item is not None and _is_overwritten(item):
                continue
            winner = self._winner(chain)
            if winner is not None and (winner is not chain.last or winner in removed):
                self._wrongs.lost[chain] = winner
                if chain not in self._blamed:
                    self._refusals[self.removal(chain)] = None

    def _accepted(self, update: bytes, deletes: IdSet) -> tuple[bytes | None, IdSet]:
        """Return (what goes on of the update, what of its deletions)."""
        removed = self._wrongs.removed
        if not self._filled and not removed:
            return update, deletes
        kept = deletes.minus(IdSet((node.client, node.clock, node.length) for node in removed))
        structs = [self._kept(node, struct) for node, struct in self._new.items()]
        return (write_update(in_order(structs), kept) if structs or kept else None), kept

    def _kept(self, node: Node, struct: Struct) -> Struct:
        if struct.ref == GC:
            return struct
        if node.home is None or not node.home.branch.is_alive:
            return as_garbage(struct)
        return as_deleted(struct) if node in self._filled else struct


def _is_overwritten(node: Node) -> bool:
    """Whether its key holds something else now, and so it is gone with all that is in it."""
    home = node.home
    return home is not None and home.key is not None and home.last is not node
