"""The gate of a chat thread: the general one (`replica.judging`), by the rules of a thread."""

from collections.abc import Callable

from server.chat.fields import REQUIRED
from server.chat.judgement import Judgement, Kind
from server.chat.rules import Rules
from server.chat.thread import Identity, Thread, identity_of
from server.chat.watching import Watch
from server.protocol.structs import Id, Struct
from server.replica.judging import MAX_REFUSALS, Judging, Refusal
from server.replica.nodes import Branch, Chain, Node
from server.replica.pen import Clip, clip_of
from server.replica.reading import is_map

MAX_STEPS = 20_000
"""Nodes that one update may pass to find its places, beside twice all messages.

Who comes back passes once what others wrote meanwhile.
"""


def judge_thread(
    update: bytes, thread: Thread, user_id: int, owner_of: Callable[[int], int | None], *, at: Id
) -> Judgement:
    """Judge an update that the general gate has let pass, and of which nothing is known or missing.

    `owner_of`: client id -> the user it is bound to; others count as the user's own. `at`: the server's client id and
    its next clock. The thread has then taken in what is accepted and the correction; whoever cannot apply those must
    make it anew.
    """
    return _Judging(thread, user_id, owner_of).judge(update, at)


class _Judging(Judging):
    def __init__(self, thread: Thread, user_id: int, owner_of: Callable[[int], int | None]) -> None:
        super().__init__(thread, MAX_STEPS + 2 * thread.size)
        self._thread = thread
        self._rules = Rules(thread, self._placed, self._new, user_id, owner_of)
        self._watch = Watch(thread, self._rules)
        self._identities: dict[Branch, Identity] = {}
        """Of maps that name themselves in the update."""

    def judge(self, update: bytes, at: Id) -> Judgement:
        thread = self._thread
        accepted, correction = self.judge_update(update, at)
        for branch, identity in self._identities.items():
            thread.index(branch, identity)
        if correction is not None:
            thread.take_in(correction)
        return Judgement(accepted, correction, tuple(self._refusals)[:MAX_REFUSALS], self._watch.news())

    def check(self, node: Node, chain: Chain) -> Refusal | None:
        return self._rules.check(node, chain)

    def check_deletion(self, node: Node, chain: Chain) -> Refusal | None:
        return self._rules.check_deletion(node, chain)

    def may_unset(self, chain: Chain) -> bool:
        return self._rules.may_unset(chain)

    def removal(self, chain: Chain) -> Refusal:
        return self._rules.removal(chain)

    def nowhere(self, struct: Struct, *, is_tangled: bool) -> Refusal:
        if is_tangled:
            return Refusal(Kind.TANGLED, "too much was inserted at the same place meanwhile")
        if isinstance(struct.parent, str):
            return Refusal(Kind.UNKNOWN, f"a thread has no root {struct.parent[:40]!r}")
        return Refusal(Kind.GONE, "an edit of what is deleted or was refused")

    def refused(self, node: Node, chain: Chain, refusal: Refusal) -> None:
        """What lacks what is required is no message."""
        item = chain.branch.item
        if chain.key in REQUIRED and item is not None and item in self._new and item not in self._filled:
            self._fill(item)
            self._reasons[item] = refusal

    def touched(self, chain: Chain, node: Node | None = None) -> None:
        branch = chain.branch
        if branch is self._thread.reactions:
            self._watch.reaction(chain)
        elif branch.item is not None:
            self._watch.message(branch, chain.key)
        elif node is not None and node.branch is not None:
            self._watch.message(node.branch, None)

    def copy_of(self, node: Node) -> Clip:
        """With its author where it is a draft, who could not be told from the client id any more."""
        clip = super().copy_of(node)
        branch = node.branch
        if branch is None or node.home is not self._thread.messages.children or not is_map(node):
            return clip
        author = self._rules.author_of(branch)
        if author is None or any(key == "sender_id" for key, _ in clip.entries):
            return clip
        return clip._replace(entries=(*clip.entries, ("sender_id", clip_of(author))))

    def finish(self) -> None:
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
