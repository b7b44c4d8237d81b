"""A replica of a Yjs document that reads no values: where each struct stands, what each key holds, what is deleted.

An engine knows all this and does not tell. It follows Yjs struct by struct, so it ends where every replica ends.
"""

from bisect import bisect_right
from collections.abc import Iterable

from server.protocol.id_set import IdSet
from server.protocol.split_update import ready_structs
from server.protocol.structs import DELETED, GC, SKIP, TYPE, Id, Struct, read_structs
from server.protocol.varint import read_var_uint
from server.replica.nodes import Branch, Chain, Node, Tangled
from server.replica.values import split_content

_NO_LIMIT = 2**62


class Placed:
    """What an update has put into a replica so far.

    `nodes`: those of its structs. `before`: of each key that it touches, the last node that stood there. `tangled`:
    those whose place would have taken over `max_steps` to find, all in all; they are garbage.
    """

    __slots__ = ("before", "max_steps", "nodes", "tangled")

    def __init__(self, max_steps: int = _NO_LIMIT) -> None:
        self.nodes: list[Node] = []
        self.before: dict[Chain, Node | None] = {}
        self.max_steps = max_steps
        self.tangled: set[Node] = set()


class Replica:
    """`state`: client -> next clock. `deleted`: ids that are deleted, overwritten or garbage."""

    def __init__(self, roots: Iterable[str]) -> None:
        self.roots = {name: Branch() for name in roots}
        self.state: dict[int, int] = {}
        self.deleted = IdSet()
        self._nodes: dict[int, tuple[list[int], list[Node]]] = {}
        """Client -> (clocks at which its nodes begin, ascending; the nodes)."""

    def take_in(self, update: bytes) -> Placed:
        """Take in an update of which nothing is missing; what is known of it already is passed over."""
        structs, deletes = self.read(update)
        placed = Placed()
        for struct in structs:
            if isinstance(struct.parent, str) and struct.parent not in self.roots:
                self.roots[struct.parent] = Branch()
            self.place(struct, placed)
        self.settle(placed, deletes)
        return placed

    def read(self, update: bytes) -> tuple[list[Struct], IdSet]:
        """Return (the structs that are new, each after all that it hangs on; what the update deletes)."""
        structs, deletes = read_structs(update)
        if read_var_uint(update, 0)[0] > 1:
            structs = ready_structs(update, self.state)
        new: list[Struct] = []
        for struct in structs:
            known = self.state.get(struct.client, 0) - struct.clock
            if known < struct.length and struct.ref != SKIP:
                new.append(struct if known <= 0 else struct.cut(known))
        return new, deletes

    # Nodes

    def find(self, name: Id) -> Node:
        """The node that holds this id, which the document has."""
        clocks, nodes = self._nodes[name[0]]
        return nodes[bisect_right(clocks, name[1]) - 1]

    def live_among(self, ids: IdSet) -> list[Node]:
        """The nodes that hold just these ids, as far as they are not deleted."""
        return [node for span in ids if not self.deleted.contains(*span) for node in self._live(*span)]

    def _live(self, client: int, clock: int, length: int) -> list[Node]:
        clocks, nodes = self._nodes[client]
        end = clock + length
        found: list[Node] = []
        index = bisect_right(clocks, clock) - 1
        while index < len(nodes) and nodes[index].clock < end:
            node = nodes[index]
            index += 1
            if node.content is None:
                continue
            if node.clock < clock:
                self._split(node, clock - node.clock)
                continue
            if node.clock + node.length > end:
                self._split(node, end - node.clock)
            found.append(node)
        return found

    def place(self, struct: Struct, placed: Placed, *, is_blank: bool = False) -> Node:
        """Link a struct where it belongs; `is_blank`: as if it were deleted. What fits nowhere is garbage."""
        ref, length = struct.ref, struct.length
        content = None
        if not is_blank and ref != GC and ref != DELETED:
            content = struct.source[struct.content : struct.end]
        node = Node(struct.client, struct.clock, length, ref, content, struct.origin, struct.right_origin)
        if ref != GC:
            self._link(node, struct, placed)
        if node.home is None:
            node.content = None
        elif ref == TYPE:
            node.branch = Branch(node)
        if node.content is None:
            self.deleted.add(node.client, node.clock, length)
        self._register(node)
        placed.nodes.append(node)
        return node

    def _link(self, node: Node, struct: Struct, placed: Placed) -> None:
        left = right = None
        if struct.parent is not None:
            home = self._chain(struct.parent, struct.key)
        else:
            if struct.origin is not None:
                left = self._ending_at(struct.origin)
            if struct.right_origin is not None:
                right = self._starting_at(struct.right_origin)
            home = _common_home(left, right)
        if home is None:
            return
        before = home.last
        try:
            placed.max_steps -= home.link(node, left, right, self.find, placed.max_steps)
        except Tangled:
            placed.tangled.add(node)
            return
        node.home = home
        if home.key is not None:
            placed.before.setdefault(home, before)

    def _chain(self, parent: Id | str, key: str | None) -> Chain | None:
        branch = self.roots.get(parent) if isinstance(parent, str) else self.find(parent).branch
        return None if branch is None else branch.chain(key)

    def _register(self, node: Node) -> None:
        client, end = node.client, node.clock + node.length
        if client not in self._nodes:
            self._nodes[client] = [node.clock], [node]
        else:
            clocks, nodes = self._nodes[client]
            last = nodes[-1]
            if node.home is None and last.home is None and last.ref == GC and node.ref == GC:
                last.length += node.length
            else:
                clocks.append(node.clock)
                nodes.append(node)
        self.state[client] = end

    def _ending_at(self, name: Id) -> Node:
        node = self.find(name)
        if name != node.last_id and node.home is not None:
            self._split(node, name[1] + 1 - node.clock)
        return node

    def _starting_at(self, name: Id) -> Node:
        node = self.find(name)
        if name[1] != node.clock and node.home is not None:
            return self._split(node, name[1] - node.clock)
        return node

    def _split(self, node: Node, offset: int) -> Node:
        """Make two of it, the first `offset` clocks long; returns the second."""
        contents: tuple[bytes | None, bytes | None] = None, None
        if node.content is not None:
            contents = split_content(node.ref, node.content, offset)
        clock, length = node.clock + offset, node.length - offset
        origin = node.client, clock - 1
        rest = Node(
            node.client,
            clock,
            length,
            node.ref,
            contents[1],
            origin,
            node.right_origin,
            node.home,
            node.right,
        )
        node.length, node.content, node.right = offset, contents[0], rest
        if node.home is not None and node.home.last is node:
            node.home.last = rest
        clocks, nodes = self._nodes[node.client]
        index = bisect_right(clocks, clock)
        clocks.insert(index, clock)
        nodes.insert(index, rest)
        return rest

    # Deletion

    def settle(self, placed: Placed, deletes: IdSet) -> None:
        """Delete these, what the update has overwritten, and what it put where it cannot live."""
        for chain, before in placed.before.items():
            if before is not None and before is not chain.last:
                self._kill(before)
        for node in placed.nodes:
            if node.content is None or not _is_shown(node):
                self._kill(node)
        for node in self.live_among(deletes):
            self._kill(node)

    def _kill(self, node: Node) -> None:
        dying = [node]
        while dying:
            dead = dying.pop()
            dead.content = None
            self.deleted.add(dead.client, dead.clock, dead.length)
            if dead.branch is not None:
                children = list(dead.branch.nodes())
                for child in children:  # as engines do: what was below is garbage
                    child.home = child.right = None
                dying += children
                dead.branch = None


def _is_shown(node: Node) -> bool:
    home = node.home
    return home is not None and home.branch.is_alive and (home.key is None or home.last is node)


def _common_home(left: Node | None, right: Node | None) -> Chain | None:
    if left is None:
        return None if right is None else right.home
    return left.home if right is None or right.home is left.home else None
