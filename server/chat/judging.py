"""The gate of a chat thread: what of an update may be, and what is put in the place of the rest.

A refused struct is not left out, since its author's clocks would have a hole that nothing of it could ever pass.
What stands in its place says nothing: deleted content of the same ids between the same neighbours, so that what its
author writes next to it later finds its place. Only what hangs on garbage, or below what is refused, becomes garbage
itself (as Yjs would make it). What the author's own replica then shows too much or too little of, the server puts
right: it deletes what was refused, and sets anew what was overwritten or deleted, for deletions cannot be undone.
"""

from collections.abc import Callable

from server.chat.correcting import Wrongs, correct
from server.chat.fields import REQUIRED
from server.chat.fillers import as_deleted, as_garbage
from server.chat.judgement import Judgement, Kind, Refusal
from server.chat.nodes import Branch, Chain, Node
from server.chat.replica import Placed
from server.chat.rules import Rules
from server.chat.thread import Identity, Thread, identity_of
from server.chat.watching import Watch
from server.protocol.id_set import IdSet
from server.protocol.structs import DELETED, GC, Id, Struct, in_order, write_update

MAX_STEPS = 20_000
"""Nodes that one update may pass to find its places, beside twice all messages.

Who comes back passes once what others wrote meanwhile.
"""

MAX_REFUSALS = 50
"""As many are told; of more nobody reads more."""


def judge_thread(
    update: bytes, thread: Thread, user_id: int, owner_of: Callable[[int], int | None], *, at: Id
) -> Judgement:
    """Judge an update that the general gate has let pass, and of which nothing is known or missing.

    `owner_of`: client id -> the user it is bound to; others count as the user's own. `at`: the server's client id and
    its next clock. The thread has then taken in what is accepted and the correction; whoever cannot apply those must
    make it anew.
    """
    return _Judging(thread, user_id, owner_of).judge(update, at)


class _Judging:
    """One update. Structs are placed first, for where they stand is the same whatever stands in their place."""

    def __init__(self, thread: Thread, user_id: int, owner_of: Callable[[int], int | None]) -> None:
        self._thread = thread
        self._placed = placed = Placed(MAX_STEPS + 2 * thread.size)
        self._new: dict[Node, Struct] = {}
        self._rules = Rules(thread, placed, self._new, user_id, owner_of)
        self._watch = Watch(thread, self._rules)
        self._wrongs = Wrongs()
        self._filled: set[Node] = set()
        """New nodes in whose place stands a filler."""
        self._dead: set[Node] = set()
        """New nodes that their author has deleted again."""
        self._let_go: set[Node] = set()
        """Old nodes that may be deleted."""
        self._identities: dict[Branch, Identity] = {}
        """Of maps that name themselves in the update."""
        self._reasons: dict[Node, Refusal] = {}
        """Of new nodes."""
        self._refusals: dict[Refusal, None] = {}
        self._blamed: set[Chain] = set()

    def judge(self, update: bytes, at: Id) -> Judgement:
        thread = self._thread
        structs, deletes = thread.read(update)
        for struct in structs:
            self._place(struct, deletes)
        for node, struct in self._new.items():
            self._judge_struct(node, struct)
        if deletes:
            self._judge_deletions(deletes)
        self._judge_resent()
        correction = None
        if self._filled or self._dead or self._wrongs:
            self._find_losses()
            correction = correct(thread, at, self._wrongs, self._winner, self._rules.author_of)
        accepted, kept = self._accepted(update, deletes)
        thread.settle(self._placed, kept)
        for branch, identity in self._identities.items():
            thread.index(branch, identity)
        if correction is not None:
            thread.take_in(correction)
        return Judgement(accepted, correction, tuple(self._refusals)[:MAX_REFUSALS], self._watch.news())

    # Structs

    def _place(self, struct: Struct, deletes: IdSet) -> None:
        is_dead = struct.ref == DELETED or deletes.contains(struct.client, struct.clock, struct.length)
        node = self._thread.place(struct, self._placed, is_blank=is_dead or struct.length > 1)
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
            self._watch_chain(chain)
            return
        refusal = self._rules.check(node, chain)
        if refusal is None:
            self._watch_chain(chain, node)
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
        item = chain.branch.item
        if chain.key in REQUIRED and item is not None and item in self._new and item not in self._filled:
            self._fill(item)
            self._reasons[item] = refusal

    def _why_nowhere(self, node: Node, struct: Struct) -> Refusal:
        for link in (struct.origin, struct.right_origin, struct.parent):
            reason = self._reasons.get(self._thread.find(link)) if isinstance(link, tuple) else None
            if reason is not None:
                return reason
        if node in self._placed.tangled:
            return Refusal(Kind.TANGLED, "too much was inserted at the same place meanwhile")
        if isinstance(struct.parent, str):
            return Refusal(Kind.UNKNOWN, f"a thread has no root {struct.parent[:40]!r}")
        return Refusal(Kind.GONE, "an edit of what is deleted or was refused")

    def _watch_chain(self, chain: Chain, node: Node | None = None) -> None:
        branch = chain.branch
        if branch is self._thread.reactions:
            self._watch.reaction(chain)
        elif branch.item is not None:
            self._watch.message(branch, chain.key)
        elif node is not None and node.branch is not None:
            self._watch.message(node.branch, None)

    # Deletions

    def _judge_deletions(self, deletes: IdSet) -> None:
        nodes = self._thread.live_among(deletes)
        for node in sorted(nodes, key=lambda node: node.branch is None):  # what holds others first
            chain = node.home
            if chain is None or (chain.key is not None and chain.last is not node):
                continue  # overwritten, and so deleted anyway
            item = chain.branch.item
            if item in self._let_go:
                continue
            if item in self._wrongs.removed:
                self._wrongs.removed[node] = None
                continue
            refusal = self._rules.check_deletion(node, chain)
            if refusal is None:
                self._let_go.add(node)
                self._watch_chain(chain)
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
            elif node in self._dead and self._rules.may_unset(chain):
                held = None
        return held

    def _judge_resent(self) -> None:
        """A message whose id its sender has used already is a resend: the first one stays."""
        claimed: dict[Identity, Branch] = {}
        for branch in self._watch.maps:
            item = branch.item
            if item is None or item.content is None or not self._names_itself(branch):
                continue
            identity = identity_of(branch, self._winner)
            if identity is None:
                continue
            self._identities[branch] = identity
            holder = self._thread.holder_of(*identity) or claimed.setdefault(identity, branch)
            if holder is not branch:
                self._refusals[Refusal(Kind.DUPLICATE, f"message {identity[1]} is here already")] = None
                if item in self._new:
                    self._fill(item)
                else:
                    self._wrongs.resent.append(item)

    def _names_itself(self, branch: Branch) -> bool:
        before, entries = self._placed.before, branch.entries
        return entries.get("id") in before or entries.get("sender_id") in before

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
            winner = self._winner(chain)
            if winner is not None and (winner is not chain.last or winner in removed):
                self._wrongs.lost[chain] = winner
                if chain not in self._blamed:
                    self._refusals[self._rules.removal(chain)] = None

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
