"""Several people change one tree on stock Yjs, hearing of each other late, some after a long time offline."""

from random import Random

import pytest

from server.tree.entries import ChangeKind
from server.tree.paths import folded
from tests.chat.yjs import Yjs, YjsReplica
from tests.tree.tree_server import TreeServer

FILES = "const files = doc.getMap('files'), folders = doc.getMap('folders');"
USERS = {1000: 7, 2000: 8, 3000: 9}
STEPS = 60


class Person:
    """A replica, with what it has sent and the server has not had yet."""

    def __init__(self, replica: YjsReplica, user_id: int, random: Random) -> None:
        self.replica = replica
        self.user_id = user_id
        self.random = random
        self.made: set[str] = set()
        self.deleted: set[str] = set()

    def act(self) -> None:
        kind, path = self.random.random(), self.path()
        there: list[str] = self.replica.read("[...doc.getMap('files').keys()]")
        file_id = self.random.choice(there) if there else None
        if kind < 0.45 or file_id is None:
            file_id = f"{self.user_id}-{len(self.made)}"
            self.made.add(file_id)
            fields = f"{{path: '{path}', created_by: 666}}"
            value = fields if self.random.random() < 0.5 else f"new Y.Map(Object.entries({fields}))"
            code = f"files.set('{file_id}', {value})"
        elif kind < 0.75:
            code = f"const held = files.get('{file_id}'); if (held.set) held.set('path', '{path}')"
        elif kind < 0.85:
            code = f"files.set('{file_id}', {{path: '{path}'}})"
        elif kind < 0.95:
            self.deleted.add(file_id)
            code = f"files.delete('{file_id}')"
        else:
            code = f"folders.set('{path}', {{}})"
        self.replica.run(FILES + code)

    def path(self) -> str:
        depth = self.random.choice([1, 1, 2])
        return "/".join(self.random.choice(["a", "A", "b", "c.md", "C.md"]) for _ in range(depth))


@pytest.mark.parametrize("server_id", [3, 2500, 5000])
@pytest.mark.parametrize("seed", range(3))
def test_all_replicas_are_equal_and_no_file_is_lost(yjs: Yjs, seed: int, server_id: int) -> None:
    random, server = Random(seed), TreeServer(USERS, server_id)
    people = [Person(yjs.replica(str(c), c), user_id, random) for c, user_id in USERS.items()]
    for _ in range(STEPS):
        person = random.choice(people)
        person.act()
        if random.random() < 0.3:
            server.sync(person.replica, person.user_id)
    for _ in range(2):
        for person in people:
            server.sync(person.replica, person.user_id)
    server.assert_equal(*(person.replica for person in people))
    paths = server.paths()
    assert len(set(map(folded, paths.values()))) == len(paths)
    folders = {folded(path) for path in server.json()["folders"]}
    for path in map(folded, paths.values()):
        assert path not in folders
        assert not any(other.startswith(path + "/") for other in (*map(folded, paths.values()), *folders))
    assert check_changes(server) == paths
    trash = {each.file_id for each in server.changes if each.kind is ChangeKind.DELETED}
    assert set(paths) | trash >= {each.file_id for each in server.changes if each.file_id}
    made = set[str]().union(*(person.made for person in people))
    deleted = set[str]().union(*(person.deleted for person in people))
    assert made - deleted <= set(paths) <= made
    assert all(entry["created_by"] in USERS.values() for entry in server.json()["files"].values())


def check_changes(server: TreeServer) -> dict[str, str]:
    """What the recorded changes come to."""
    paths: dict[str, str] = {}
    for change in server.changes:
        if change.file_id is None:
            continue
        if change.kind is ChangeKind.DELETED:
            del paths[change.file_id]
        elif change.kind is ChangeKind.COLLIDED:
            assert paths[change.file_id] == change.path
        else:
            paths[change.file_id] = change.path
    return paths


def test_who_was_offline_and_made_500_files_finds_them_all(yjs: Yjs) -> None:
    server = TreeServer(USERS)
    alice, bob = yjs.replica("alice", 1000), yjs.replica("bob", 2000)
    make = "for (let i = 0; i < 500; i++) files.set('%s' + i, new Y.Map([['path', 'art/' + i + '.png']]))"
    alice.run(FILES + make % "a")
    bob.run(FILES + make % "b")
    server.sync(alice, 7)
    server.sync(bob, 8)
    server.sync(alice, 7)
    server.assert_equal(alice, bob)
    paths = server.paths()
    assert paths["a7"] == "art/7.png"
    assert paths["b7"] == "art/7 (2).png"
    assert len(set(paths.values())) == 1000


def test_two_servers_that_decide_at_once_decide_alike(yjs: Yjs) -> None:
    """Whatever each of them has seen first, both have the same tree once they have the same document."""
    one, two = TreeServer(USERS, 3), TreeServer(USERS, 4)
    alice, bob = yjs.replica("alice", 1000), yjs.replica("bob", 2000)
    alice.run(FILES + "files.set('x', new Y.Map([['path', 'same.md']]))")
    bob.run(FILES + "files.set('y', new Y.Map([['path', 'same.md']]))")
    one.sync(alice, 7)
    two.now_ms += 10
    two.sync(bob, 8)
    whole = [server.document.encode_since(b"\0") for server in (one, two)]
    settled = []
    for server_id, order in ((13, whole), (14, whole[::-1])):
        rules = TreeServer(USERS, server_id).rules
        for update in order:
            rules.take_in(update)
        assert rules.settle_all((server_id, 0)) is not None
        settled.append({file_id: entry.path for file_id, entry in rules.tree.entries.items()})
    assert settled[0] == settled[1] == {"x": "same.md", "y": "same (2).md"}
