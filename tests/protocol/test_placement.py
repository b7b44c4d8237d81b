"""Structs where the engine would take them without a look: refused; whatever an editor can make: never."""

import pytest

from server.engine.document import Document
from server.protocol.contents import Contents
from server.protocol.placement import Placement
from server.protocol.update_shape import MalformedUpdate, check_update
from server.protocol.varint import buf
from tests.fuzz.deliveries import Places, documents, yjs_documents
from tests.fuzz.update_fuzzer import CRASHERS, Case
from tests.interop.node_client import HERE as NODE_CLIENTS
from tests.npm_packages import install_packages
from tests.protocol.update_bytes import Id, gc, item, string, update

MAP = b"\x01"
BOLD = buf(b"bold") + buf(b"true")


def entry(key: str, content: bytes, ref: int = 8, root: str = "map") -> bytes:
    """A struct under a key of a root."""
    return bytes((ref | 0x20, 1)) + buf(root.encode()) + buf(key.encode()) + content


def value(number: int = 1, *, origin: Id | None = None) -> bytes:
    return item(8, bytes((1, 0x7D, number)), origin=origin)


class Placed:
    """A placement and what it has admitted."""

    def __init__(self, *updates: bytes) -> None:
        self._placement = Placement()
        self._contents = Contents()
        for data in updates:
            self.admit(data)

    def admit(self, data: bytes) -> None:
        shape = check_update(data)
        self._placement.admit(data, shape, self._contents.state)
        self._contents.advance(shape)


def test_documents_of_pycrdt_are_taken_in_any_order() -> None:
    for updates in documents(1000):
        places = Places()
        places.receive(updates)
        assert not places.held
        places.reopen()


def test_documents_of_yjs_are_taken_in_any_order() -> None:
    install_packages(NODE_CLIENTS)
    for updates in yjs_documents(100):
        places = Places()
        places.receive(updates)
        assert not places.held
        places.reopen()


TEXT = update((1, 0, [string("abc")]))
ENTRY = update((2, 0, [entry("k", b"\x01\x7d\x01")]))
TYPE = update((3, 0, [item(7, MAP)]))


@pytest.mark.parametrize(
    ("known", "misplaced", "reason"),
    [
        ([TEXT, ENTRY], update((9, 0, [string("x", origin=(1, 0), right=(2, 0))])), "different places"),
        ([TEXT, ENTRY], update((9, 0, [string("x", origin=(2, 0), right=(1, 0))])), "different places"),
        ([TEXT, TYPE], update((9, 0, [string("y", parent=(3, 0)), string("x", origin=(9, 0), right=(1, 0))])),
         "different places"),
        ([ENTRY, update((4, 0, [entry("l", b"\x01\x7d\x01")]))],
         update((9, 0, [string("x", origin=(2, 0), right=(4, 0))])), "different places"),
        ([ENTRY], update((9, 0, [item(6, BOLD, origin=(2, 0))])), "value of a key"),
        ([TEXT, ENTRY], update((9, 0, [item(6, BOLD, origin=(2, 0))])), "value of a key"),
        ([TEXT], update((9, 0, [string("x", parent=(1, 1))])), "no type"),
        ([TEXT, TYPE], update((9, 0, [string("x", parent=(1, 1))])), "no type"),
        ([TEXT], update((9, 0, [string("y"), string("x", parent=(9, 0))])), "no type"),
    ],
)  # fmt: skip
def test_misplaced_structs_are_refused(known: list[bytes], misplaced: bytes, reason: str) -> None:
    places = Placed(*known)
    with pytest.raises(MalformedUpdate, match=reason):
        places.admit(misplaced)


@pytest.mark.parametrize(
    ("known", "placed"),
    [
        ([TEXT], update((9, 0, [item(6, BOLD, origin=(1, 0), right=(1, 1))]))),
        ([ENTRY], update((9, 0, [value(origin=(2, 0))]))),
        ([TYPE], update((9, 0, [string("x", parent=(3, 0))]))),
        ([TEXT, update((9, 0, [item(7, MAP, origin=(1, 2))]))], update((9, 1, [string("x", parent=(9, 0))]))),
        ([update((3, 0, [item(1, b"\x04")]))], update((9, 0, [string("x", parent=(3, 2))]))),
        ([update((3, 0, [gc(4)]))], update((9, 0, [string("x", parent=(3, 2))]))),
        ([update((3, 0, [gc(4)])), ENTRY, TEXT],
         update((9, 0, [string("x", origin=(3, 1), right=(1, 0)), value(origin=(2, 0))]))),
    ],
    ids=["format in a text", "entry after entry", "below a type", "below a type whose neighbour says where it is",
         "below a deleted type", "below garbage", "beside garbage that came first"],
)  # fmt: skip
def test_well_placed_structs_are_taken(known: list[bytes], placed: bytes) -> None:
    Placed(*known, placed)


def test_a_refused_update_leaves_no_trace() -> None:
    """Its ids are free for others, wherever they put them."""
    places = Placed(TEXT)
    structs = [item(7, MAP), entry("k", b"\x01\x7d\x01"), string("x", origin=(1, 0), right=(9, 1))]
    with pytest.raises(MalformedUpdate):
        places.admit(update((9, 0, structs)))
    places.admit(update((9, 0, [string("yz"), string("x", origin=(9, 0), right=(9, 1))])))
    with pytest.raises(MalformedUpdate, match="no type"):
        places.admit(update((9, 3, [string("x", parent=(9, 0))])))


def test_a_refused_first_update_leaves_no_trace() -> None:
    places = Placed()
    with pytest.raises(MalformedUpdate):
        places.admit(update((9, 0, [entry("k", b"\x01\x7d\x01"), item(6, BOLD, origin=(9, 0))])))
    places.admit(update((9, 0, [string("y"), item(6, BOLD, origin=(9, 0))])))


def test_the_crasher_on_file_is_refused_by_the_document() -> None:
    case = Case.load(CRASHERS / "acd7a89f3d5a074c.json")
    document = Document.load([case.state])
    with pytest.raises(MalformedUpdate, match="different places"):
        document.apply(case.update, check_update(case.update))
