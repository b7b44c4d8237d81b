"""What the entries that were written come to: who made them, and where each of them is. PURE.

No two files have one path, no file is where a folder is. Who got a path first (`path_at`) has it, of two at once the
lower id; the others get a number. That is a function of the entries alone, so whoever decides it, decides alike.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from server.tree.entries import Change, ChangeKind, Entry, Folder, Stamp, changes_of, entry_of, stamp_of
from server.tree.paths import BadPath, normal_path
from server.tree.tree import FILES, FOLDERS, Tree

StampOf = Callable[[str, Stamp], Stamp]
"""(the id of a file that is new to the tree, what it says of itself) -> who made it, and when."""


@dataclass(slots=True)
class Settled:
    """`entries`, `folders`: what the document has to say; None: nothing under this key."""

    entries: dict[str, Entry | None] = field(default_factory=dict)
    folders: dict[str, Folder | None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


def settle(
    tree: Tree,
    dirty: Iterable[tuple[str, str]],
    *,
    stamp_of_file: StampOf,
    now_ms: int,
    is_in_trash: Callable[[str], bool] = lambda file_id: False,
    overrides: Mapping[str, Mapping[str, object]] | None = None,
    trusts_times: bool = False,
) -> Settled:
    """The tree then knows what the document will say. `dirty`: what was written, as `Tree.take_dirty` has it.

    `overrides`: fields that files should have instead. `trusts_times`: the entries' own `path_at` are the server's.
    """
    settled = Settled()
    file_ids = dict.fromkeys(key for root, key in dirty if root == FILES) | dict.fromkeys(overrides or ())
    before = {file_id: tree.entries.get(file_id) for file_id in file_ids}
    for file_id in file_ids:
        tree.put_entry(file_id, None)
    _settle_folders(tree, [key for root, key in dirty if root == FOLDERS], stamp_of_file, settled)
    wanted: list[tuple[int, str, Entry]] = []
    for file_id in file_ids:
        fields = dict(tree.fields_of(FILES, file_id) or {}) | dict((overrides or {}).get(file_id, {}))
        entry = entry_of(fields)
        if entry is None:
            continue
        old = before[file_id]
        stamp = stamp_of_file(file_id, stamp_of(fields)) if old is None else Stamp(*old[2:4])
        path_at = entry.path_at if trusts_times else 0
        if old is not None and old.path == entry.path:
            path_at = old.path_at
        elif not path_at:
            path_at = max(now_ms, tree.latest_path_at + 1)
        wanted.append((path_at, file_id, Entry(entry.path, entry.language, *stamp, path_at)))
    collided = _place(tree, sorted(wanted), settled)
    after = {file_id: settled.entries.get(file_id) for file_id in file_ids}
    for file_id, entry in after.items():
        restored = before[file_id] is None and is_in_trash(file_id)
        settled.changes += changes_of({file_id: before[file_id]}, {file_id: entry}, restored=restored)
    settled.changes += collided
    return settled


def _place(tree: Tree, wanted: Iterable[tuple[int, str, Entry]], settled: Settled) -> list[Change]:
    collided: list[Change] = []
    for _, file_id, entry in wanted:
        path = tree.paths.free_for_file(entry.path)
        placed = entry._replace(path=path)
        if path != entry.path:
            collided.append(Change(ChangeKind.COLLIDED, file_id, path, placed, wanted_path=entry.path))
        tree.put_entry(file_id, placed)
        settled.entries[file_id] = placed
    return collided


def _settle_folders(tree: Tree, keys: Iterable[str], stamp_of_file: StampOf, settled: Settled) -> None:
    keys = list(keys)
    before = {key: tree.folders.get(key) for key in keys}
    for key in keys:
        tree.put_folder(key, None)
    for key in sorted(keys):
        fields, old = tree.fields_of(FOLDERS, key), before[key]
        try:
            path = None if fields is None else normal_path(key)
        except BadPath:
            path = None
        if fields is None or path is None:
            if old is not None:
                settled.folders[key] = None
                settled.changes.append(Change(ChangeKind.DELETED, None, key, old_path=key))
            continue
        free = tree.paths.free_for_folder(path)
        if free != key:
            settled.folders[key] = None
        if tree.paths.folder_at(free) is not None:  # it is there, spelled otherwise
            settled.folders.setdefault(key, None)
            continue
        folder = old or Folder(*stamp_of_file("", stamp_of(fields)))
        tree.put_folder(free, folder)
        settled.folders[free] = folder
        if old is None:
            settled.changes.append(Change(ChangeKind.CREATED, None, free))
        if free != path:
            settled.changes.append(Change(ChangeKind.COLLIDED, None, free, wanted_path=path))
