"""What a room does with a workspace's tree, without sockets: the general gate, the tree's gate, the engine."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pycrdt import Doc
from pycrdt import Map as YMap

from crdt_store.effects import Connection
from server.engine.document import Document
from server.protocol.update_shape import check_state_vector, check_update
from server.rooms.gate import judge
from server.rooms.rules import Ruling
from server.tree.entries import Change, Stamp
from server.tree.tree_rules import TreeRules
from tests.chat.yjs import YjsReplica

SERVER = 3
READ = "({files: doc.getMap('files').toJSON(), folders: doc.getMap('folders').toJSON()})"


class Recorded:
    """An `Effect` that stores nothing."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes

    def store(self, connection: Connection) -> None: ...

    def committed(self) -> None: ...


class TreeServer:
    """`users`: client id -> whose it is. `locks`: path -> who holds it."""

    def __init__(self, users: Mapping[int, int], server_id: int = SERVER) -> None:
        self.users = dict(users)
        self.server_id = server_id
        self.locks: dict[str, int] = {}
        self.trash: dict[str, Stamp] = {}
        self.now_ms = 1_000
        self.document = Document()
        self.changes: list[Change] = []
        self.rules = self.new_rules()

    def new_rules(self) -> TreeRules:
        return TreeRules(
            lambda changes, user_id: Recorded(changes),
            known_stamp=self.trash.get,
            locked_by=self._locked_by,
            now_ms=lambda: self.now_ms,
            iso=lambda ms: f"at {ms}",
        )

    def _locked_by(self, path: str, user_id: int) -> str | None:
        for locked, holder in self.locks.items():
            overlaps = path == locked or path.startswith(locked + "/") or locked.startswith(path + "/")
            if overlaps and holder != user_id:
                return f"user {holder}"
        return None

    def receive(self, update: bytes, user_id: int) -> Ruling:
        verdict = judge(update, self.document.contents, self.users.get, user_id=user_id, is_reply=True)
        assert verdict.rest is None
        if verdict.ready is None or not self.document.contents.adds(check_update(verdict.ready)):
            return Ruling(None)
        self.now_ms += 1
        at = (self.server_id, self.document.contents.state.get(self.server_id, 0))
        ruling = self.rules.judge(verdict.ready, user_id, self.users.get, at=at)
        for part in (ruling.accepted, ruling.correction):
            if part is not None:
                self.document.apply(part, check_update(part))
        for effect in ruling.effects:
            self.changes += cast(Recorded, effect).changes
        return ruling

    def sync(self, replica: YjsReplica, user_id: int) -> Ruling:
        """Both ways, as the stock protocol does."""
        ruling = self.receive(replica.encode(self.document.state_vector()), user_id)
        replica.apply(self.document.encode_since(replica.state()))
        return ruling

    def json(self) -> dict[str, Any]:
        doc = cast("Doc[Any]", self.document.ydoc)
        return {root: doc.get(root, type=YMap).to_py() for root in ("files", "folders")}

    def paths(self) -> dict[str, str]:
        """Of all files, by id."""
        return {file_id: entry.path for file_id, entry in self.rules.tree.entries.items()}

    def assert_equal(self, *replicas: YjsReplica) -> None:
        """That all say the same, and the tree knows what they say, also if it is loaded anew."""
        state = check_state_vector(self.document.state_vector())
        for replica in replicas:
            assert replica.read(READ) == self.json()
            assert check_state_vector(replica.state()) == state
        files = self.json()["files"]
        tree, loaded = self.rules.tree, self.new_rules()
        assert {key: entry._asdict() for key, entry in tree.entries.items()} == files
        loaded.take_in(self.document.encode_since(b"\0"))
        assert loaded.tree.entries == tree.entries
        assert loaded.tree.folders == tree.folders
        assert loaded.settle_all((self.server_id + 1, 0)) is None
        assert loaded.tree.entries == tree.entries
