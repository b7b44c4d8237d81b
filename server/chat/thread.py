"""A chat thread: its messages, reactions and receipts, as they stand in its document.

messages: Y.Array of Y.Map, see `fields.FIELDS`
reactions: Y.Map, "{message_id}:{user_id}:{emoji}" -> true
receipts: Y.Map, user id -> {delivered_seq, read_seq}
thread: Y.Map, what the server says of the thread as a whole
"""

from collections.abc import Callable, Iterator

from server.chat.fields import ReactionKey, is_user_id, read_reaction_key
from server.chat.judgement import Message
from server.protocol.structs import Id
from server.replica.nodes import Branch, Chain, Node
from server.replica.reading import is_map, value_of
from server.replica.replica import Placed, Replica

ROOTS = ("messages", "reactions", "receipts", "thread")
Identity = tuple[int, str]
"""(sender id, message id)."""


class Thread(Replica):
    """Takes in every update of its document, whoever wrote it; what is in no thread is kept and means nothing."""

    def __init__(self) -> None:
        super().__init__(ROOTS)
        self.messages, self.reactions = self.roots["messages"], self.roots["reactions"]
        self._by_id: dict[Identity, Branch] = {}

    def take_in(self, update: bytes) -> Placed:
        placed = super().take_in(update)
        for branch in {chain.branch: None for chain in placed.before if chain.key in ("id", "sender_id")}:
            self.index(branch, identity_of(branch))
        return placed

    def index(self, branch: Branch, identity: Identity | None) -> None:
        """Find a message by (sender id, message id) from now on, if it is one; the first of an id stays."""
        if identity is not None and self.is_message_map(branch) and self.holder_of(*identity) is None:
            self._by_id[identity] = branch

    def next_clock(self, client: int) -> int:
        return self.state.get(client, 0)

    # Messages

    def is_message_map(self, branch: Branch) -> bool:
        """Whether it is a live map in `messages`: a message, or a draft of one."""
        item = branch.item
        return (
            item is not None
            and item.home is self.messages.children
            and item.content is not None
            and is_map(item)
        )

    def holder_of(self, sender_id: int, message_id: str) -> Branch | None:
        """The live map that has these."""
        branch = self._by_id.get((sender_id, message_id))
        return branch if branch is not None and branch.is_alive else None

    def message(self, sender_id: int, message_id: str) -> Message | None:
        """The sender's message of this id."""
        branch = self.holder_of(sender_id, message_id)
        return None if branch is None else read_message(branch)

    def map_of(self, item: Id) -> Branch | None:
        """The map of a message, by the id of its item."""
        return self.find(item).branch if item[1] < self.next_clock(item[0]) else None

    def all_messages(self) -> Iterator[Message]:
        """In the order of the array."""
        for node in self.messages.children:
            if node.content is not None and node.branch is not None:
                message = read_message(node.branch)
                if message is not None:
                    yield message

    # Segments

    @property
    def size(self) -> int:
        """How many messages it has, or has had."""
        return len(self._by_id)

    @property
    def segment(self) -> int:
        """Which part of a long thread it is: the first one is 1."""
        return self._number("segment")

    @property
    def first_seq(self) -> int:
        """Messages before this one are in earlier segments."""
        return self._number("first_seq")

    def _number(self, key: str) -> int:
        value = self.value("thread", key)
        return value if isinstance(value, int) else 1

    # Other roots

    def all_reactions(self) -> Iterator[ReactionKey]:
        for key, chain in self.reactions.entries.items():
            reaction = read_reaction_key(key)
            if reaction is not None and value_of(chain.winner) is True:
                yield reaction

    def value(self, root: str, key: str) -> object:
        """The plain value of a root's key, such as a user's receipts; None if there is none."""
        return value_of(self.roots[root].winner(key)) if root in self.roots else None


def _held(chain: Chain) -> Node | None:
    return chain.winner


def identity_of(branch: Branch, winner: Callable[[Chain], Node | None] = _held) -> Identity | None:
    """(sender id, message id) of a map that has them; `winner` tells what a key holds."""
    by, of = branch.entries.get("sender_id"), branch.entries.get("id")
    if by is None or of is None:
        return None
    sender_id, message_id = value_of(winner(by)), value_of(winner(of))
    if not isinstance(sender_id, int) or not isinstance(message_id, str):
        return None
    return sender_id, message_id


def read_message(branch: Branch) -> Message | None:
    """None for a draft, which lacks its id, sender or body yet."""
    item = branch.item
    values = {key: value_of(chain.winner) for key, chain in branch.entries.items()}
    message_id, sender_id, body = values.get("id"), values.get("sender_id"), values.get("body")
    if item is None or not (
        isinstance(message_id, str) and isinstance(sender_id, int) and isinstance(body, str)
    ):
        return None
    mentions = values.get("mentions")
    seq = values.get("seq")
    return Message(
        item.id,
        message_id,
        sender_id,
        body,
        _text(values.get("sent_at")),
        _text(values.get("reply_to")),
        _text(values.get("edited_at")),
        values.get("deleted") is True,
        tuple(filter(is_user_id, mentions)) if isinstance(mentions, list) else (),
        seq if isinstance(seq, int) else None,
        _text(values.get("server_time")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
