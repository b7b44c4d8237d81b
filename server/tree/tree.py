"""The tree of a workspace, as it stands in its document.

files: Y.Map, file id -> Y.Map {path, language, created_by, created_at, path_at}, or a plain object with these
folders: Y.Map, path -> Y.Map {created_by, created_at}, or a plain object
"""

from collections.abc import Iterable, Mapping

from server.protocol.id_set import IdSet
from server.protocol.structs import Id
from server.replica.nodes import Branch, Chain, Node
from server.replica.pen import Pen, clip_of, map_clip
from server.replica.reading import is_map, value_of
from server.replica.replica import Placed, Replica
from server.tree.entries import Entry, Folder, entry_of, stamp_of
from server.tree.paths import PathIndex

FILES, FOLDERS = "files", "folders"


class Tree(Replica):
    """`entries`, `folders` and `paths` are what there was when it was last settled, or taken in."""

    def __init__(self) -> None:
        super().__init__((FILES, FOLDERS))
        self.entries: dict[str, Entry] = {}
        self.folders: dict[str, Folder] = {}
        self.paths = PathIndex()
        self.latest_path_at = 0
        self.dirty: dict[tuple[str, str], None] = {}
        """(root, key) of what was written since."""

    def take_in(self, update: bytes) -> Placed:
        """What it says is as it should be, or is settled later."""
        placed = super().take_in(update)
        self._know(self.take_dirty())
        return placed

    def take_in_unsettled(self, update: bytes) -> list[tuple[str, str]]:
        """What of it is to be settled, as `take_dirty` has it."""
        super().take_in(update)
        return self.take_dirty()

    def _know(self, dirty: Iterable[tuple[str, str]]) -> None:
        for root, key in dirty:
            if root == FILES:
                fields = self.fields_of(FILES, key)
                self.put_entry(key, None if fields is None else entry_of(fields))
            else:
                fields = self.fields_of(FOLDERS, key)
                self.put_folder(key, None if fields is None else Folder(*stamp_of(fields)))

    def settle(self, placed: Placed, deletes: IdSet) -> None:
        chains = [*placed.before, *(node.home for node in self.live_among(deletes))]
        for place in map(self.place_of, chains):
            if place is not None:
                self.dirty[place] = None
        super().settle(placed, deletes)

    def take_dirty(self) -> list[tuple[str, str]]:
        """Which entries, by root and key, were written since this was asked last."""
        dirty, self.dirty = list(self.dirty), {}
        return dirty

    # Where something stands

    def place_of(self, chain: Chain | None) -> tuple[str, str] | None:
        """The root and the key of the entry that a chain is, or is a field of; None if it is of none."""
        while chain is not None:
            for name in (FILES, FOLDERS):
                if chain.branch is self.roots[name]:
                    return None if chain.key is None else (name, chain.key)
            item = chain.branch.item
            chain = None if item is None else item.home
        return None

    def map_of(self, root: str, key: str) -> Branch | None:
        """The Y.Map of an entry, if it is one."""
        node = self.roots[root].winner(key)
        return node.branch if node is not None and is_map(node) else None

    def fields_of(self, root: str, key: str) -> Mapping[str, object] | None:
        """What an entry says; None if there is none."""
        node = self.roots[root].winner(key)
        return None if node is None else fields_in(node)

    # What is known of it

    def put_entry(self, file_id: str, entry: Entry | None) -> None:
        old = self.entries.pop(file_id, None)
        if old is not None and self.paths.file_at(old.path) == file_id:
            self.paths.remove_file(old.path)
        if entry is not None:
            self.entries[file_id] = entry
            self.paths.add_file(file_id, entry.path)
            self.latest_path_at = max(self.latest_path_at, entry.path_at)

    def put_folder(self, path: str, folder: Folder | None) -> None:
        if self.folders.pop(path, None) is not None and self.paths.folder_at(path) == path:
            self.paths.remove_folder(path)
        if folder is not None:
            self.folders[path] = folder
            self.paths.add_folder(path)


def fields_in(node: Node) -> Mapping[str, object] | None:
    """Of an entry, live or about to be overwritten."""
    if node.branch is not None and is_map(node):
        return {key: value_of(chain.winner) for key, chain in node.branch.entries.items()}
    value = value_of(node)
    return value if isinstance(value, dict) else None


def write_entries(
    tree: Tree, at: Id, entries: Mapping[str, Entry | None], folders: Mapping[str, Folder | None]
) -> bytes | None:
    """An update after which the tree says just this of these; None if it does already."""
    pen = Pen(at)
    _write_root(tree, pen, FILES, {key: entry and entry._asdict() for key, entry in entries.items()})
    _write_root(tree, pen, FOLDERS, {key: each and each._asdict() for key, each in folders.items()})
    return pen.update()


def _write_root(tree: Tree, pen: Pen, root: str, wanted: Mapping[str, dict[str, object] | None]) -> None:
    chains = tree.roots[root].entries
    for key, fields in wanted.items():
        held, branch = tree.roots[root].winner(key), tree.map_of(root, key)
        if fields is None:
            if held is not None:
                pen.delete(held.id, held.length)
        elif held is None or branch is None:
            pen.set(root, chains.get(key), key, map_clip(fields))
        else:
            _write_fields(pen, held.id, branch, fields.items())


def _write_fields(pen: Pen, item: Id, branch: Branch, fields: Iterable[tuple[str, object]]) -> None:
    for name, value in fields:
        held = branch.winner(name)
        if held is None or value_of(held) != value or type(value_of(held)) is not type(value):
            pen.set(item, branch.entries.get(name), name, clip_of(value))
