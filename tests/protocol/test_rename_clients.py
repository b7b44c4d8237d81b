"""Client ids are replaced everywhere in an update, and what it says stays the same."""

import random
from collections.abc import Callable
from typing import Any

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from server.protocol.rename_clients import clients_of, new_names, rename_clients
from server.protocol.update_shape import check_update


def _rich_update() -> tuple[bytes, list[int]]:
    """Two clients who edit the same places, with nested types, keys, formats and deletions."""
    docs: list[Doc[Any]] = [Doc(client_id=client) for client in (2**40 + 7, 5)]
    for doc in docs:
        doc["text"], doc["map"], doc["xml"] = Text(), Map(), XmlFragment()
    for turn in range(6):
        for doc, other in (docs, reversed(docs)):
            with doc.transaction():
                doc["text"].insert(turn % 3, f"w{turn}")
                doc["map"][f"k{turn % 2}"] = Array([turn, Map({"deep": Text("t")})])
                doc["xml"].children.append(XmlElement("p", {"n": str(turn)}, [XmlText("inside")]))
                if turn == 4:
                    del doc["text"][0:3]
                    del doc["map"]["k1"]
            if turn % 2:
                other.apply_update(doc.get_update(other.get_state()))
    docs[1].apply_update(docs[0].get_update(docs[1].get_state()))
    return docs[1].get_update(), [2**40 + 7, 5]


def _read(update: bytes) -> tuple[str, object, str]:
    doc: Doc[Any] = Doc()
    doc["text"], doc["map"], doc["xml"] = Text(), Map(), XmlFragment()
    doc.apply_update(update)
    return str(doc["text"]), doc["map"].to_py(), str(doc["xml"])


def test_the_content_is_the_same_and_no_old_id_is_left() -> None:
    update, clients = _rich_update()
    names = new_names(clients, clients, _ids())
    renamed = rename_clients(update, names)
    assert clients_of(check_update(update)) == set(clients)
    assert clients_of(check_update(renamed)) == set(names.values())
    assert _read(renamed) == _read(update)


def test_renaming_back_gives_the_same_bytes() -> None:
    update, clients = _rich_update()
    names = new_names(clients, clients, _ids())
    back = {new: old for old, new in names.items()}
    assert rename_clients(rename_clients(update, names), back) == rename_clients(update, {})


def test_two_edits_on_one_base_merge_after_renaming_as_before() -> None:
    base: Doc[Any] = Doc(client_id=9)
    base["text"] = Text("one two")
    offline: Doc[Any] = Doc(client_id=3)
    offline["text"] = Text()
    offline.apply_update(base.get_update())
    offline["text"].insert(3, " and a half")
    names = new_names([9], [9, 3], _ids())
    restored: Doc[Any] = Doc(client_id=4)
    restored["text"] = Text()
    restored.apply_update(rename_clients(base.get_update(), names))
    restored["text"].insert(7, " three")
    restored.apply_update(rename_clients(offline.get_update(), names))
    assert str(restored["text"]) == "one and a half two three"


def test_new_names_keep_the_order_and_avoid_what_is_taken() -> None:
    given = iter([7, 7, 1, 3, 2])
    assert new_names([50, 10, 30], [1], lambda: next(given)) == {10: 2, 30: 3, 50: 7}


def _ids() -> Callable[[], int]:
    source = random.Random(5)
    return lambda: source.getrandbits(32)
