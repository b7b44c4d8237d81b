"""Who may write what in a thread: the rules for one struct, or one deletion."""

from collections.abc import Callable, Mapping

from server.chat.fields import FIELDS, MAX_EMOJI_CHARACTERS, REQUIRED, Field, read_reaction_key
from server.chat.judgement import Kind
from server.chat.thread import Thread
from server.protocol.structs import ANY, Struct
from server.replica.judging import Refusal
from server.replica.nodes import Branch, Chain, Node
from server.replica.reading import is_map, value_of
from server.replica.replica import Placed

_NO_SHARED_TYPES = (
    "must be a plain value: what is changed within a shared type later could not be judged as a field is"
)


class Rules:
    """The rules as they stand for one update, of which the thread has `placed` every struct.

    What the thread said before the update is what counts, not what the update makes of it.
    """

    def __init__(
        self,
        thread: Thread,
        placed: Placed,
        new: Mapping[Node, Struct],
        user_id: int,
        owner_of: Callable[[int], int | None],
    ) -> None:
        self._thread = thread
        self._before = placed.before
        self._new = new
        self._user_id = user_id
        self._owner_of = owner_of
        self._users: dict[int, int] = {}
        self._authors: dict[Branch, int | None] = {}

    def settled(self, chain: Chain | None) -> Node | None:
        """What the key held before the update."""
        if chain is None:
            return None
        node = self._before.get(chain, chain.last)
        return node if node is not None and node.content is not None else None

    def author_of(self, branch: Branch) -> int | None:
        """Whose a message or draft is; None where nobody knows."""
        if branch not in self._authors:
            sender_id = value_of(self.settled(branch.entries.get("sender_id")))
            item = branch.item
            if isinstance(sender_id, int):
                author: int | None = sender_id
            elif item is None:
                author = None
            else:
                author = self._user_of(item.client) if item in self._new else self._owner_of(item.client)
            self._authors[branch] = author
        return self._authors[branch]

    def _user_of(self, client: int) -> int:
        user_id = self._users.get(client)
        if user_id is None:
            owner = self._owner_of(client)
            user_id = self._users[client] = self._user_id if owner is None else owner
        return user_id

    def was_message(self, branch: Branch) -> bool:
        """Whether it was one before the update, and not a draft."""
        if branch.item in self._new:
            return False
        return all(self.settled(branch.entries.get(key)) is not None for key in REQUIRED)

    # Structs

    def check(self, node: Node, chain: Chain) -> Refusal | None:
        """Why a struct of the update, which stands in a live branch, may not be."""
        branch, key, thread = chain.branch, chain.key, self._thread
        if branch.item is None:
            if branch is thread.messages and key is None:
                return None if is_map(node) else _NOT_A_MESSAGE
            if branch is thread.reactions and key is not None:
                return self._check_reaction(node, key)
            return self._foreign_root(branch)
        if key is None or not thread.is_message_map(branch):
            return Refusal(Kind.UNKNOWN, "a thread has nothing there")
        return self._check_field(node, branch, key)

    def _check_field(self, node: Node, branch: Branch, key: str) -> Refusal | None:
        field = FIELDS.get(key)
        if field is None:
            return Refusal(Kind.UNKNOWN, f"messages have no field {key[:40]!r}")
        if field.check is None:
            return Refusal(Kind.SERVER_ONLY, f"only the server writes {key}")
        author = self.author_of(branch)
        if self._user_of(node.client) != author:
            return Refusal(Kind.NOT_YOURS, f"{self.name(branch)} is not yours: {key} stays as it is")
        if node.ref != ANY or node.length != 1:
            return Refusal(Kind.WRONG_TYPE, f"{key} {_NO_SHARED_TYPES}")
        value = value_of(node)
        fault = field.check(value)
        if fault is not None:
            return Refusal(fault.kind, f"{key} {fault.text}")
        if key == "sender_id" and value != author:
            return Refusal(Kind.FORGED_SENDER, f"sender_id must be your own user id, {author}")
        return None if branch.item in self._new else self._check_change(branch, key, field, value)

    def _check_change(self, branch: Branch, key: str, field: Field, value: object) -> Refusal | None:
        held = self.settled(branch.entries.get(key))
        if value_of(held) == value:
            return None
        if field.is_fixed and (held is not None or self.was_message(branch)):
            return Refusal(Kind.FIXED, f"{key} of {self.name(branch)} stays as it is")
        if value_of(self.settled(branch.entries.get("deleted"))) is True:
            return Refusal(Kind.IS_DELETED, f"{self.name(branch)} is deleted: {key} stays as it is")
        return None

    def _check_reaction(self, node: Node, key: str) -> Refusal | None:
        reaction = read_reaction_key(key)
        if reaction is None:
            form = "{message id}:{user id}:{emoji}"
            text = f"the key of a reaction is {form}, the emoji up to {MAX_EMOJI_CHARACTERS} characters"
            return Refusal(Kind.UNKNOWN, text)
        if reaction.user_id != self._user_of(node.client):
            return Refusal(Kind.NOT_YOURS, f"a reaction of user {reaction.user_id} is not yours to set")
        if node.ref != ANY or node.length != 1 or value_of(node) is not True:
            return Refusal(Kind.WRONG_TYPE, "a reaction is set to true")
        return None

    def _foreign_root(self, branch: Branch) -> Refusal:
        for name in ("receipts", "thread"):
            if branch is self._thread.roots[name]:
                return Refusal(Kind.SERVER_ONLY, f"only the server writes {name}")
        return Refusal(Kind.UNKNOWN, "a thread has nothing there")

    # Deletions

    def check_deletion(self, node: Node, chain: Chain) -> Refusal | None:
        """Why the user may not delete a live node that was there before."""
        branch = chain.branch
        if branch is self._thread.messages and node.branch is not None:
            is_own_draft = self.author_of(node.branch) == self._user_id and not self.was_message(node.branch)
            text = f"{self.name(node.branch)} stays in `messages`: its author may set its `deleted` to true"
            return None if is_own_draft else Refusal(Kind.MESSAGE_REMOVED, text)
        return None if self.may_unset(chain) else self.removal(chain)

    def may_unset(self, chain: Chain) -> bool:
        """Whether the user may leave this key without a value: one of its own reactions."""
        if chain.branch is not self._thread.reactions or chain.key is None:
            return False
        reaction = read_reaction_key(chain.key)
        return reaction is not None and reaction.user_id == self._user_id

    def removal(self, chain: Chain) -> Refusal:
        """What to say of a value that may not be taken away."""
        what = "what is there" if chain.key is None else f"{chain.key[:80]!r}"
        return Refusal(Kind.FIELD_REMOVED, f"{what} cannot be taken away")

    def name(self, branch: Branch) -> str:
        message_id = value_of(self.settled(branch.entries.get("id")))
        return "a message" if message_id is None else f"message {str(message_id)[:40]}"


_NOT_A_MESSAGE = Refusal(Kind.NOT_A_MESSAGE, "`messages` holds nothing but Y.Maps")
