"""The gate of a workspace's tree: the general one (`replica.judging`), by the rules of a tree."""

from collections.abc import Callable, Mapping

from server.protocol.structs import ANY, Id, Struct
from server.replica.judging import Judged, Judging, Refusal
from server.replica.nodes import Chain, Node
from server.replica.reading import is_map, value_of
from server.rooms.names import BadRoomName, normalized_file_id
from server.tree.entries import path_of
from server.tree.languages import MAX_LANGUAGE_CHARACTERS
from server.tree.paths import BadPath, normal_path
from server.tree.refusals import Kind
from server.tree.tree import FILES, FOLDERS, Tree, fields_in

MAX_STEPS = 20_000
_MAX_STAMP_CHARACTERS = 64
_STAMPS = ("created_by", "created_at", "path_at")
_FIELDS = {FILES: ("path", "language", *_STAMPS), FOLDERS: _STAMPS}

LockedBy = Callable[[str, int], str | None]
"""(path, user id) -> the name of whoever has locked it against the user, above or below it too."""


class TreeJudging(Judging):
    """`overrides`: what a user has written and the server's own, which it had not seen, would hide.

    `lost`: (file id, path) of what another's concurrent change has hidden.
    """

    def __init__(
        self, tree: Tree, user_id: int, owner_of: Callable[[int], int | None], locked_by: LockedBy
    ) -> None:
        super().__init__(tree, MAX_STEPS + 2 * len(tree.entries))
        self._tree = tree
        self._user_id = user_id
        self._owner_of = owner_of
        self._locked_by = locked_by
        self.overrides: dict[str, Mapping[str, object]] = {}
        self.lost: list[tuple[str, str]] = []

    def judge(self, update: bytes, at: Id) -> tuple[Judged, list[Refusal]]:
        """The tree's `dirty` entries are still to be settled."""
        judged = self.judge_update(update, at)
        return judged, list(self._refusals)

    # Structs

    def check(self, node: Node, chain: Chain) -> Refusal | None:
        place = self._tree.place_of(chain)
        if place is None:
            return Refusal(Kind.UNKNOWN, "a tree has nothing there")
        root, key = place
        if chain.branch is self._tree.roots[root]:
            return self._check_key(root, key) or self._check_entry(node, root, key)
        item = chain.branch.item
        if chain.key is None or item is None or item.home is None or item.home.branch.item is not None:
            return Refusal(Kind.UNKNOWN, "a tree has nothing there")
        if node.ref != ANY or node.length != 1:
            return Refusal(Kind.WRONG_TYPE, f"{chain.key[:40]!r} must be a plain value")
        return self._check_field(root, key, chain.key, value_of(node))

    def _check_key(self, root: str, key: str) -> Refusal | None:
        if root == FOLDERS:
            return self._check_path(None, key)
        try:
            is_id = normalized_file_id(key) == key
        except BadRoomName:
            is_id = False
        return None if is_id else Refusal(Kind.BAD_ID, f"{key[:40]!r} is no file's id")

    def _check_entry(self, node: Node, root: str, key: str) -> Refusal | None:
        if is_map(node):
            old = self._tree.entries.get(key) if root == FILES else None
            return None if old is None else self._locked(old.path)
        fields = value_of(node)
        if node.ref != ANY or node.length != 1 or not isinstance(fields, dict):
            return Refusal(Kind.WRONG_TYPE, f"an entry of `{root}` is a Y.Map, or a plain object")
        if root == FILES and "path" not in fields:
            return Refusal(Kind.REMOVED, "a file has a path")
        for name, value in fields.items():
            refusal = self._check_field(root, key, name, value)
            if refusal is not None:
                return refusal
        return None

    def _check_field(self, root: str, key: str, name: str, value: object) -> Refusal | None:
        if name not in _FIELDS[root]:
            return Refusal(Kind.UNKNOWN, f"entries of `{root}` have no field {name[:40]!r}")
        if name == "path":
            if not isinstance(value, str):
                return Refusal(Kind.WRONG_TYPE, "path must be text")
            return self._check_path(key, value)
        if name == "language":
            is_right = value is None or (isinstance(value, str) and len(value) <= MAX_LANGUAGE_CHARACTERS)
        else:  # the server's: what stands there is overwritten
            is_right = isinstance(value, int | float | None) or (
                isinstance(value, str) and len(value) <= _MAX_STAMP_CHARACTERS
            )
        return None if is_right else Refusal(Kind.WRONG_TYPE, f"{name} must be a short text")

    def _check_path(self, file_id: str | None, text: str) -> Refusal | None:
        try:
            path = normal_path(text)
        except BadPath as error:
            return Refusal(Kind.BAD_PATH, f"{text[:40]!r}: {error}")
        old = None if file_id is None else self._tree.entries.get(file_id)
        if old is not None and old.path == path:
            return None
        return (None if old is None else self._locked(old.path)) or self._locked(path)

    def _locked(self, path: str) -> Refusal | None:
        holder = self._locked_by(path, self._user_id)
        return None if holder is None else Refusal(Kind.LOCKED, f"{path[:80]!r} is locked by {holder}")

    # Deletions

    def check_deletion(self, node: Node, chain: Chain) -> Refusal | None:
        place = self._tree.place_of(chain)
        if place is None:
            return self.removal(chain)
        root, key = place
        if chain.branch is not self._tree.roots[root]:
            return self.removal(chain) if chain.key in (None, "path") else None
        if root == FOLDERS:
            return self._locked(key)
        old = self._tree.entries.get(key)
        return None if old is None else self._locked(old.path)

    def may_unset(self, chain: Chain) -> bool:
        place = self._tree.place_of(chain)
        if place is None or chain.key is None:
            return False
        if chain.branch is not self._tree.roots[place[0]]:
            return chain.key != "path"
        held = self._tree.entries.get(place[1])
        path = place[1] if place[0] == FOLDERS else None if held is None else held.path
        return path is None or self._locked(path) is None

    def removal(self, chain: Chain) -> Refusal:
        what = "what is there" if chain.key is None else f"{chain.key[:80]!r}"
        return Refusal(Kind.REMOVED, f"{what} cannot be taken away")

    # What they come to

    def nowhere(self, struct: Struct, *, is_tangled: bool) -> Refusal:
        if is_tangled:
            return Refusal(Kind.TANGLED, "too much was inserted at the same place meanwhile")
        if isinstance(struct.parent, str):
            return Refusal(Kind.UNKNOWN, f"a tree has no root {struct.parent[:40]!r}")
        return Refusal(Kind.GONE, "an edit of what is deleted, or was refused")

    def refused(self, node: Node, chain: Chain, refusal: Refusal) -> None:
        """A file without its path is none."""
        item = chain.branch.item
        if chain.key == "path" and item is not None and item in self._new and item not in self._filled:
            self._fill(item)
            self._reasons[item] = refusal

    def touched(self, chain: Chain, node: Node | None = None) -> None:
        """The tree itself remembers what is dirty."""

    def finish(self) -> None:
        """Find what neither side had seen of the other."""
        for chain, before in self._placed.before.items():
            place = self._tree.place_of(chain)
            is_path = chain.key == "path" or chain.branch is self._tree.roots[FILES]
            if place is None or place[0] != FILES or not is_path or before is None:
                continue
            if not chain.branch.is_alive or before.content is None:
                continue
            self._compare(place[1], chain, before)

    def _compare(self, file_id: str, chain: Chain, before: Node) -> None:
        new = [node for node in chain if node in self._new and node.content is not None]
        if not new or any(self._new[node].origin == before.last_id for node in new):
            return
        last = chain.last
        if last not in self._new:
            said = _said(new[-1])
            if last is not None and self._owner_of(last.client) is None:
                self.overrides[file_id] = {key: said[key] for key in ("path", "language") if key in said}
            else:
                self._lose(file_id, said)
        else:
            self._lose(file_id, _said(before))

    def _lose(self, file_id: str, said: Mapping[str, object]) -> None:
        path = path_of(said)
        if path is not None:
            self.lost.append((file_id, path))


def _said(node: Node) -> Mapping[str, object]:
    """The fields of an entry, or the path alone."""
    value = value_of(node)
    return {"path": value} if isinstance(value, str) else fields_in(node) or {}
