"""What a Yjs document is made of, linked as Yjs links it.

A branch is a shared type, root or nested. It has a chain of nodes for its sequence, and one for each key: of a key's
nodes, all that were ever set, the last one is what the key holds, if it has content. A node is a struct in its chain.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from server.protocol.structs import Id


class Tangled(Exception):
    """To find a node's place would take too long."""


@dataclass(slots=True, eq=False)
class Node:
    """`length` clocks of a client. `content` is None once deleted; `home` is None for garbage, which is nowhere."""

    client: int
    clock: int
    length: int
    ref: int
    content: bytes | None
    origin: Id | None
    right_origin: Id | None
    home: "Chain | None" = None
    right: "Node | None" = None
    branch: "Branch | None" = None

    @property
    def id(self) -> Id:
        return self.client, self.clock

    @property
    def last_id(self) -> Id:
        return self.client, self.clock + self.length - 1


@dataclass(slots=True, eq=False)
class Chain:
    """The nodes of a branch's sequence (`key` is None) or of one of its keys."""

    branch: "Branch"
    key: str | None
    first: Node | None = None
    last: Node | None = None

    @property
    def winner(self) -> Node | None:
        """What a key holds."""
        return self.last if self.last is not None and self.last.content is not None else None

    def __iter__(self) -> Iterator[Node]:
        return self.since(self.first)

    def since(self, node: Node | None) -> Iterator[Node]:
        """This node and those after it."""
        while node is not None:
            yield node
            node = node.right

    def link(
        self, node: Node, left: Node | None, right: Node | None, find: Callable[[Id], Node], max_steps: int
    ) -> int:
        """Put a node between those that it was written between; where others were put there too, Yjs' rule decides.

        Returns how many nodes it passed. Raises Tangled before it passes more than `max_steps`.
        """
        steps = 0
        is_contested = left.right is not right if left is not None else self.first is not right
        if is_contested:
            left, steps = self._place(node, left, right, find, max_steps)
        if left is not None:
            node.right = left.right
            left.right = node
        else:
            node.right = self.first
            self.first = node
        if node.right is None:
            self.last = node
        return steps

    def _place(
        self, node: Node, left: Node | None, right: Node | None, find: Callable[[Id], Node], max_steps: int
    ) -> tuple[Node | None, int]:
        """Return (the node to the left of it, nodes passed). It is Item.integrate of Yjs."""
        other = self.first if left is None else left.right
        conflicting: set[Node] = set()
        passed: set[Node] = set()
        while other is not None and other is not right:
            if len(passed) == max_steps:
                raise Tangled
            passed.add(other)
            conflicting.add(other)
            if node.origin == other.origin:
                if other.client < node.client:
                    left = other
                    conflicting.clear()
                elif node.right_origin == other.right_origin:
                    break
            elif other.origin is not None and (origin := find(other.origin)) in passed:
                if origin not in conflicting:
                    left = other
                    conflicting.clear()
            else:
                break
            other = other.right
        return left, len(passed)


@dataclass(slots=True, eq=False)
class Branch:
    """A shared type. `item` is the node that holds it; a root has none."""

    item: Node | None = None
    entries: dict[str, Chain] = field(default_factory=dict)
    children: Chain = field(init=False)

    def __post_init__(self) -> None:
        self.children = Chain(self, None)

    @property
    def is_alive(self) -> bool:
        return self.item is None or self.item.content is not None

    def chain(self, key: str | None) -> Chain:
        """The chain of this key, made if there is none."""
        if key is None:
            return self.children
        chain = self.entries.get(key)
        if chain is None:
            chain = self.entries[key] = Chain(self, key)
        return chain

    def winner(self, key: str) -> Node | None:
        """What the key holds."""
        chain = self.entries.get(key)
        return None if chain is None else chain.winner

    def nodes(self) -> Iterator[Node]:
        """All that is in it, but not what is in those."""
        for chain in (self.children, *self.entries.values()):
            yield from chain
