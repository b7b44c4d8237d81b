"""What a stock Yjs client writes into the tree: what may be is put right, what may not is refused, and it goes on."""

from typing import Any

import pytest

from server.tree.entries import ChangeKind, Stamp
from tests.chat.yjs import Yjs, YjsReplica
from tests.tree.tree_server import READ, TreeServer

ALICE, BOB = 7, 8
ALICE_CLIENT, BOB_CLIENT = 1000, 2000
EVIL = "EVIL"

FILES = "const files = doc.getMap('files'), folders = doc.getMap('folders');"
NEW = "const file = (path, more = {}) => new Y.Map(Object.entries({path, ...more}));"


class Scene:
    """A tree with a file of Alice's, `a`, and Bob's replica of it."""

    def __init__(self, yjs: Yjs, server_id: int) -> None:
        self.server = TreeServer({ALICE_CLIENT: ALICE, BOB_CLIENT: BOB}, server_id)
        self.alice = yjs.replica("alice", ALICE_CLIENT)
        self.bob = yjs.replica("bob", BOB_CLIENT)
        self.write(self.alice, ALICE, "files.set('a', file('src/a.cpp'))")
        self.server.sync(self.bob, BOB)

    def write(self, replica: YjsReplica, user_id: int, code: str, *, is_merged: bool = False) -> list[str]:
        told: list[str] = []
        for update in replica.run(FILES + NEW + code, is_merged=is_merged):
            told += self.server.receive(update, user_id).refusals
        replica.apply(self.server.document.encode_since(replica.state()))
        return told

    def settle(self) -> None:
        self.server.sync(self.alice, ALICE)
        self.server.sync(self.bob, BOB)
        self.server.assert_equal(self.alice, self.bob)


@pytest.fixture(params=[3, 5000], ids=["the server's id is lowest", "the server's id is highest"])
def scene(yjs: Yjs, request: pytest.FixtureRequest) -> Scene:
    return Scene(yjs, request.param)


def test_a_file_gets_its_author_its_time_and_its_language_from_the_server(scene: Scene) -> None:
    forged = "{created_by: 666, created_at: 'EVIL', path_at: 1}"
    assert scene.write(scene.bob, BOB, f"files.set('b', file('b.py', {forged}))") == []
    assert scene.write(scene.bob, BOB, "files.set('c', {path: 'c.md', created_by: 666, path_at: -5})") == []
    scene.settle()
    found = scene.server.json()["files"]
    assert [found[key]["created_by"] for key in "abc"] == [ALICE, BOB, BOB]
    assert [found[key]["language"] for key in "abc"] == ["cpp", "python", "markdown"]
    assert found["b"]["created_at"].startswith("at ")
    assert EVIL not in str(found)


def test_a_path_that_can_be_is_normalised(scene: Scene) -> None:
    scene.write(
        scene.bob, BOB, r"files.set('b', {path: '/art\\wood//./e\u0301.png'}); folders.set('x//y', {})"
    )
    scene.settle()
    assert scene.server.paths()["b"] == "art/wood/\u00e9.png"
    assert list(scene.server.json()["folders"]) == ["x/y"]


REFUSED = {
    "no path": "files.set('EVIL', {language: 'cpp'})",
    "a path upwards": "files.set('EVIL', {path: '../EVIL'})",
    "a control character": r"files.set('b', file('EVIL\u0007'))",
    "a long path": "files.set('b', file('EVIL'.repeat(129)))",
    "a number for a path": "files.set('b', file(666, {language: 'EVIL'}))",
    "a Y.Text for a path": "files.set('b', file(new Y.Text('EVIL')))",
    "a bad id": "files.set('../EVIL', file('b.md'))",
    "text for a file": "files.set('b', 'EVIL')",
    "a list for a file": "files.set('b', Y.Array.from(['EVIL']))",
    "a field that is not known": "files.set('b', file('b.md', {EVIL: 1}))",
    "a field of a file that is there": "files.get('a').set('EVIL', 1)",
    "a map in a file": "files.get('a').set('language', new Y.Map([['EVIL', 1]]))",
    "another root": "doc.getArray('EVIL').insert(0, ['EVIL', 1])",
    "another root's text": "doc.getText('EVIL').insert(0, 'EVIL'); doc.getText('EVIL').insert(1, 'EVIL')",
    "a folder upwards": "folders.set('../EVIL', {})",
    "text for a folder": "folders.set('EVIL', 'EVIL')",
    "a path set to what cannot be": "files.get('a').set('path', 'EVIL/../..')",
    "a path set twice": "files.get('a').set('path', '../EVIL'); files.get('a').set('path', '../../EVIL')",
    "a path taken away": "files.get('a').delete('path')",
    "a file overwritten with none": "files.set('a', 'EVIL')",
}


@pytest.mark.parametrize("is_merged", [False, True], ids=["one by one", "merged"])
@pytest.mark.parametrize("code", REFUSED.values(), ids=REFUSED)
def test_what_may_not_be_is_refused_and_its_author_goes_on(yjs: Yjs, code: str, is_merged: bool) -> None:
    scene = Scene(yjs, 5000)
    before = scene.server.json()
    assert scene.write(scene.bob, BOB, code, is_merged=is_merged)
    scene.settle()
    assert EVIL not in str(scene.server.json())
    assert scene.server.json()["files"]["a"] == before["files"]["a"]
    assert scene.write(scene.bob, BOB, "files.set('n', file('next.md'))") == []
    scene.settle()
    paths = scene.server.paths() | {"b": "b.md"}  # without the field that is not known it may be
    assert paths == {"a": "src/a.cpp", "b": "b.md", "n": "next.md"}


def test_the_second_of_two_equal_paths_gets_a_number_and_its_author_is_told(scene: Scene) -> None:
    told = scene.write(scene.bob, BOB, "files.set('b', file('SRC/A.cpp'))")
    assert told == ["'SRC/A.cpp' is taken: it is 'SRC/A (2).cpp' now"]
    scene.settle()
    assert scene.server.paths() == {"a": "src/a.cpp", "b": "SRC/A (2).cpp"}
    assert [change.kind for change in scene.server.changes[-2:]] == [ChangeKind.CREATED, ChangeKind.COLLIDED]


def test_a_file_stands_neither_where_a_folder_is_nor_below_a_file(scene: Scene) -> None:
    scene.write(scene.bob, BOB, "files.set('b', file('src')); files.set('c', file('src/a.cpp/c.md'))")
    scene.write(scene.bob, BOB, "files.set('d', file('src/a.cpp/d.md')); folders.set('src/a.cpp', {})")
    scene.settle()
    assert scene.server.paths() == {
        "a": "src/a.cpp",
        "b": "src (2)",
        "c": "src/a (2).cpp/c.md",
        "d": "src/a (2).cpp/d.md",
    }
    assert list(scene.server.json()["folders"]) == ["src/a (2).cpp"]


def test_two_files_can_change_places(scene: Scene) -> None:
    scene.write(scene.bob, BOB, "files.set('b', file('b.cpp'))")
    swap = (
        "doc.transact(() => { files.get('a').set('path', 'b.cpp'); files.get('b').set('path', 'src/a.cpp') })"
    )
    assert scene.write(scene.bob, BOB, swap) == []
    scene.settle()
    assert scene.server.paths() == {"a": "b.cpp", "b": "src/a.cpp"}


def test_what_a_client_sets_twice_before_it_hears_of_the_server_is_not_lost(scene: Scene) -> None:
    code = "files.set('b', {path: 'b1.md'}); files.set('b', {path: 'b2.md'}); files.set('b', {path: 'b3.md'})"
    scene.write(scene.bob, BOB, code)
    scene.settle()
    assert scene.server.paths()["b"] == "b3.md"
    scene.write(scene.bob, BOB, "files.set('c', file('SRC/a.cpp')); files.get('c').set('path', 'c.md')")
    scene.settle()
    assert scene.server.paths()["c"] == "c.md"


def test_concurrent_renames_keep_one_path_and_tell_the_other(scene: Scene) -> None:
    late = scene.bob.run(FILES + "files.get('a').set('path', 'bob.cpp')")
    scene.write(scene.alice, ALICE, "files.get('a').set('path', 'alice.cpp')")
    told = [text for update in late for text in scene.server.receive(update, BOB).refusals]
    scene.settle()
    assert scene.server.paths() == {"a": "bob.cpp"}  # Bob's client id is higher
    assert scene.server.changes[-1].wanted_path == "alice.cpp"
    assert told


def test_a_rename_and_a_change_of_the_language_both_stay(scene: Scene) -> None:
    late = scene.bob.run(FILES + "files.get('a').set('language', 'hlsl')")
    scene.write(scene.alice, ALICE, "files.get('a').set('path', 'alice.cpp')")
    for update in late:
        scene.server.receive(update, BOB)
    scene.settle()
    assert scene.server.json()["files"]["a"]["language"] == "hlsl"
    assert scene.server.paths() == {"a": "alice.cpp"}


def test_a_deleted_file_that_is_set_again_is_its_authors_still(scene: Scene) -> None:
    scene.server.trash["a"] = Stamp(ALICE, "then")
    scene.write(scene.bob, BOB, "files.delete('a')")
    assert scene.server.paths() == {}
    scene.write(scene.bob, BOB, "files.set('a', {path: 'back.cpp'})")
    scene.settle()
    assert scene.server.json()["files"]["a"]["created_by"] == ALICE
    assert [change.kind for change in scene.server.changes[-2:]] == [ChangeKind.DELETED, ChangeKind.RESTORED]


LOCKED: dict[str, Any] = {
    "renaming": "files.get('a').set('path', 'b.cpp')",
    "renaming in place of it": "files.set('a', {path: 'b.cpp'})",
    "deleting": "files.delete('a')",
    "deleting and setting again": "files.delete('a'); files.set('a', {path: 'b.cpp'})",
    "clearing": "files.clear()",
    "putting something there": "files.set('b', file('src/b.cpp'))",
    "putting something below": "files.set('b', file('src/a.cpp/b.cpp'))",
    "making a folder there": "folders.set('src/new', {})",
}


@pytest.mark.parametrize(
    ("locked", "code"),
    [
        pytest.param(locked, code, id=f"{what}, {locked} is locked")
        for what, code in LOCKED.items()
        for locked in ("src", "src/a.cpp")
        if locked == "src" or not ("src/b.cpp" in code or "src/new" in code)  # else it is beside the lock
    ],
)
def test_what_another_has_locked_stays_where_it_is(scene: Scene, code: str, locked: str) -> None:
    scene.server.locks[locked] = ALICE
    told = scene.write(scene.bob, BOB, code)
    assert any("locked by user 7" in text for text in told)
    scene.settle()
    assert scene.server.paths() == {"a": "src/a.cpp"}
    assert scene.server.json()["files"]["a"]["created_by"] == ALICE
    scene.write(scene.bob, BOB, "files.get('a').set('language', 'hlsl'); files.set('n', file('n.md'))")
    scene.write(scene.alice, ALICE, "files.get('a').set('path', 'alice.cpp')")
    scene.settle()
    assert scene.server.paths() == {"a": "alice.cpp", "n": "n.md"}
    assert scene.bob.read(READ)["files"]["a"]["language"] == "hlsl"
