"""Taking back: the edit that makes a document what it would be if only some of its changes had been made.

It deletes what is there and should not be, and writes anew, where it stood, what is not there and should be: an
edit as any other, which clients merge. What nobody is asked to take back keeps its ids.
"""

from collections.abc import Iterator
from functools import partial

from server.history.past import Counts, Past, is_shown, text_of, winner
from server.protocol.id_set import IdSet
from server.protocol.structs import STRING, Id
from server.protocol.varint import buf
from server.replica.nodes import Branch, Chain, Node
from server.replica.pen import Clip, Pen, clip_node, name_of

_TURNING = 1 << 20


def turning_id(random_bits: int) -> int:
    """A client id for what is written anew: of 32 random bits, and above all that Yjs takes itself."""
    return _TURNING << 32 | random_bits & 0xFFFFFFFF


def restoring(moment: int) -> Counts:
    """What was there at that moment."""
    return Counts.until(moment)


def without(past: Past, author_id: int, since: int) -> Counts:
    """All, but what this user has inserted and deleted since then."""
    changes = past.changes
    return Counts(
        lambda number, client: number < since or changes.author_of(number, client) != author_id,
        lambda number: number < since or changes.all[number].author_id != author_id,
    )


def without_run(past: Past, run_id: int) -> Counts:
    """All, but what this run of an agent has inserted and deleted."""
    changes = past.changes.all
    return Counts(
        lambda number, _: changes[number].run_id != run_id, lambda number: changes[number].run_id != run_id
    )


def turn_back(past: Past, counts: Counts, client_id: int, *, is_exact: bool) -> bytes | None:
    """The update, written under a `turning_id` that the document has nothing of; None if there is nothing to do.

    What was written anew before is not written again. `is_exact`: unless somebody has changed it since.
    """
    have, want = past.shown(Counts.until(len(past.changes.all))), past.shown(counts)
    pen = Pen((client_id, 0))
    turning = _Turning(past, have, want, pen, is_exact=is_exact)
    for root in past.roots.values():
        turning.branch(root)
    return pen.update()


class _Turning:
    """From what is shown to what should be."""

    def __init__(self, past: Past, have: IdSet, want: IdSet, pen: Pen, *, is_exact: bool) -> None:
        self._past, self._have, self._want, self._pen = past, have, want, pen
        self._is_exact = is_exact
        self._kept: set[Node] = set()

    def branch(self, branch: Branch) -> None:
        """One that is there, and stays."""
        self._sequence(branch.children)
        for chain in list(branch.entries.values()):
            self._key(chain)

    def _sequence(self, chain: Chain) -> None:
        missing: list[Node] = []
        for node in list(chain):
            is_there, should_be = is_shown(node, self._have), is_shown(node, self._want)
            if missing and not (should_be and not is_there and _continues(missing[-1], node)):
                self._put(chain, missing)
                missing = []
            if is_there and not should_be and node not in self._kept:
                self._pen.delete(node.id, node.length)
            elif should_be and not is_there:
                missing.append(node)
            elif is_there and node.branch is not None:
                self.branch(node.branch)
        if missing:
            self._put(chain, missing)

    def _put(self, chain: Chain, nodes: list[Node]) -> None:
        """Behind the last of these, which are neighbours of one kind."""
        last, clip = nodes[-1], self._clip(nodes, self._want)
        copy = _copy_of(clip, last)
        if copy and not (self._is_exact and self._clip(copy, self._have) != clip):
            self._kept.update(copy)
            return
        after = None if last.right is None else last.right.id
        self._pen.put(clip, last.last_id, after, self._name(chain))

    def _key(self, chain: Chain) -> None:
        held, wanted = winner(chain, self._have), winner(chain, self._want)
        if held is wanted:
            if held is not None and held.branch is not None:
                self.branch(held.branch)
            return
        clip = None if wanted is None else self._clip([wanted], self._want)
        if held is not None:
            if self._clip([held], self._have) == clip:
                return
            self._pen.delete(held.id, held.length)
        if clip is not None and chain.last is not None:
            self._pen.put(clip, chain.last.last_id, None, self._name(chain), chain.key)

    def _name(self, chain: Chain) -> Id | str:
        return name_of(chain.branch, self._past.roots)

    def _clip(self, nodes: list[Node], shown: IdSet) -> Clip:
        if nodes[0].ref == STRING:
            text = "".join(text_of(node) for node in nodes if is_shown(node, shown))
            return Clip(STRING, buf(text.encode()), len(text.encode("utf-16-le")) // 2)
        is_live = partial(is_shown, shown=shown)
        return clip_node(nodes[0], partial(winner, shown=shown), is_live=is_live)


def _continues(node: Node, next_node: Node) -> bool:
    return node.ref == STRING == next_node.ref


def _copy_of(clip: Clip, node: Node) -> list[Node]:
    """What was written behind the node to stand for it, whatever has become of it since; empty if nothing was."""
    copy: list[Node] = []
    length = 0
    for other in _run(node.right):
        copy.append(other)
        length += other.length
        if length >= clip.length:
            break
    if not copy or copy[0].origin != node.last_id or copy[0].client >> 32 != _TURNING:
        return []
    if clip.ref == STRING:
        same = length == clip.length and buf("".join(map(text_of, copy)).encode()) == clip.content
    else:
        same = (copy[0].ref, copy[0].content) == (clip.ref, clip.content)
    return copy if same else []


def _run(node: Node | None) -> Iterator[Node]:
    """A node, and those behind it that its client wrote on from there."""
    while node is not None:
        yield node
        following = node.right
        node = following if following is not None and following.origin == node.last_id else None
