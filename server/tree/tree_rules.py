"""A tree's rules at work in its room: what the judge and the settling say becomes what the room does."""

from collections.abc import Callable, Sequence

from crdt_store.effects import Effect
from server.protocol.merge_updates import merge_updates
from server.protocol.structs import Id
from server.rooms.rules import Ruling
from server.rooms.runs import Run
from server.tree.entries import Change, ChangeKind, Stamp
from server.tree.judging import LockedBy, TreeJudging
from server.tree.settling import Settled, settle
from server.tree.tree import FILES, FOLDERS, Tree, write_entries

_MAX_TOLD = 50
Record = Callable[[Sequence[Change], int | None], Effect]
"""(changes, who made them) -> what stores them together with the update."""

KnownStamp = Callable[[str], Stamp | None]
"""Who made a file that the tree had before, as one in the trash."""


class TreeRules:
    """`rooms.rules.DocumentRules` of a workspace's document. `iso`: ms since 1970 -> text."""

    def __init__(
        self,
        record: Record,
        *,
        known_stamp: KnownStamp,
        locked_by: LockedBy,
        now_ms: Callable[[], int],
        iso: Callable[[int], str],
    ) -> None:
        self.tree = Tree()
        self._record = record
        self._known_stamp = known_stamp
        self._locked_by = locked_by
        self._now_ms = now_ms
        self._iso = iso

    def take_in(self, update: bytes) -> None:
        """The document holds this."""
        self.tree.take_in(update)

    def judge(
        self,
        update: bytes,
        user_id: int,
        owner_of: Callable[[int], int | None],
        *,
        at: Id,
        run: Run | None = None,
    ) -> Ruling:
        """What is accepted is put right at once: paths, who made it, and names that are taken."""
        judging = TreeJudging(self.tree, user_id, owner_of, self._locked_by)
        judged, refusals = judging.judge(update, at)
        parts = [] if judged.correction is None else [judged.correction]
        dirty = self.tree.take_dirty()
        if judged.correction is not None:
            dirty += self.tree.take_in_unsettled(judged.correction)
        now_ms = self._now_ms()
        settled = settle(
            self.tree,
            dict.fromkeys(dirty),
            stamp_of_file=lambda file_id, _: self.stamp(file_id, user_id, now_ms),
            now_ms=now_ms,
            is_in_trash=lambda file_id: self._known_stamp(file_id) is not None,
            overrides=judging.overrides,
        )
        own = self._write(settled, (at[0], self.tree.state.get(at[0], at[1])))
        if own is not None:
            parts.append(own)
        changes = settled.changes + [
            Change(ChangeKind.COLLIDED, file_id, self.tree.entries[file_id].path, wanted_path=path)
            for file_id, path in judging.lost
            if file_id in self.tree.entries and self.tree.entries[file_id].path != path
        ]
        told = [refusal.text for refusal in refusals] + [
            f"{change.wanted_path!r} is taken: it is {change.path!r} now"
            for change in changes
            if change.kind is ChangeKind.COLLIDED
        ]
        return Ruling(
            judged.accepted,
            merge_updates(parts) if len(parts) > 1 else parts[0] if parts else None,
            told[:_MAX_TOLD],
            [self._record(changes, user_id)] if changes else (),
        )

    def settle_all(self, at: Id) -> bytes | None:
        """Put right what the whole document says, as after a crash; an update of the server's, if need be."""
        tree, now_ms = self.tree, self._now_ms()
        dirty = [(root, key) for root in (FILES, FOLDERS) for key in tree.roots[root].entries]
        for file_id in list(tree.entries):
            tree.put_entry(file_id, None)
        for path in list(tree.folders):
            tree.put_folder(path, None)

        def stamped(file_id: str, said: Stamp) -> Stamp:
            known = self._known_stamp(file_id) if file_id else None
            return known or Stamp(said.created_by, said.created_at or self._iso(now_ms))

        settled = settle(tree, dirty, stamp_of_file=stamped, now_ms=now_ms, trusts_times=True)
        return self._write(settled, at)

    def stamp(self, file_id: str, user_id: int | None, now_ms: int) -> Stamp:
        """Of a file that is new to the tree."""
        known = self._known_stamp(file_id) if file_id else None
        return known or Stamp(user_id, self._iso(now_ms))

    def _write(self, settled: Settled, at: Id) -> bytes | None:
        update = write_entries(self.tree, at, settled.entries, settled.folders)
        if update is not None:
            self.tree.take_in_unsettled(update)
        return update
