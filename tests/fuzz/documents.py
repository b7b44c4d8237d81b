"""Random but valid editing: a few replicas that edit every shared type and exchange updates, late and in part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pycrdt import (
    Array,
    Doc,
    Map,
    Text,
    TransactionEvent,
    UndoManager,
    XmlElement,
    XmlFragment,
    XmlText,
    get_update,
    merge_updates,
)

ASCII_WORDS = ["a", "bc", "hello ", "\n", "\x00", "word " * 8, "z" * 130]
WORDS = [
    "a",
    "bc",
    "hello ",
    "é",
    "漢字",
    "😀",
    "x😀y",
    "\n",
    "👩‍👩‍👧",
    "\x00",
    "\ufffd",
    "word " * 8,
    "z" * 130,
]
KEYS = ["k", "key", "", "ü", "title", "😀"]
CLIENT_IDS = [1, 5, 127, 128, 2**31 - 1, 2**32 + 5, 2**53 - 1]


class Editor(Random):
    """A seeded source of choices that knows which words to write."""

    words = WORDS


@dataclass
class Replica:
    doc: Doc[Any]
    sent: list[bytes] = field(default_factory=list)  # its own updates, in order
    seen: dict[int, int] = field(
        default_factory=dict
    )  # other replica -> how many of its updates were applied
    undo: UndoManager | None = None


@dataclass
class Session:
    """Replicas that share no more than updates. Everything follows from `rng`."""

    rng: Editor
    replicas: list[Replica]
    _recording: bool = False

    @classmethod
    def start(cls, rng: Editor, replicas: int = 3, client_ids: Sequence[int] = CLIENT_IDS) -> "Session":
        ids = rng.sample(client_ids, replicas)
        session = cls(rng, [Replica(Doc(client_id=client)) for client in ids])
        for replica in session.replicas:
            replica.doc.observe(session._record(replica))
            replica.undo = UndoManager(scopes=[text(replica.doc), items(replica.doc)])
        return session

    def _record(self, replica: Replica) -> Callable[[TransactionEvent], None]:
        def record(event: TransactionEvent) -> None:
            if self._recording:
                replica.sent.append(event.update)

        return record

    def edit(self) -> bytes | None:
        """One random edit (or several in one transaction); returns its update, if it changed anything."""
        replica = self.rng.choice(self.replicas)
        before = len(replica.sent)
        self._recording = True
        try:
            if self.rng.random() < 0.2:
                with replica.doc.transaction():
                    for _ in range(self.rng.randrange(2, 6)):
                        self._edit_once(replica)
            elif self.rng.random() < 0.1 and replica.undo is not None:
                self.rng.choice([replica.undo.undo, replica.undo.redo])()
            else:
                self._edit_once(replica)
        finally:
            self._recording = False
        return replica.sent[-1] if len(replica.sent) > before else None

    def _edit_once(self, replica: Replica) -> None:
        self.rng.choice(EDITS)(self.rng, replica.doc)

    def exchange(self) -> None:
        """One replica receives another's next updates, some of them ahead of the ones before."""
        receiver, sender = self.rng.sample(range(len(self.replicas)), 2)
        target, source = self.replicas[receiver], self.replicas[sender]
        seen = target.seen.get(sender, 0)
        until = self.rng.randint(seen, len(source.sent))
        batch = source.sent[seen:until]
        if self.rng.random() < 0.2:
            self.rng.shuffle(batch)
        for update in batch:
            target.doc.apply_update(update)
        target.seen[sender] = until

    def exports(self) -> list[bytes]:
        """Updates of every make: states, diffs, merges with gaps, diffs of updates."""
        rng = self.rng
        one, other = rng.sample(self.replicas, 2)
        full = one.doc.get_update()
        found = [full, one.doc.get_update(other.doc.get_state()), get_update(full, other.doc.get_state())]
        sent = [update for replica in self.replicas for update in replica.sent]
        if len(sent) > 2:
            found.append(merge_updates(*rng.sample(sent, rng.randrange(2, min(len(sent), 9)))))
        fresh: Doc[Any] = Doc()
        for update in rng.sample(sent, len(sent) // 2):
            fresh.apply_update(update)
        found.append(fresh.get_update())  # has pending structs and deletions
        return found


def text(doc: Doc[Any]) -> Text:
    shared: Text = doc.get("text", type=Text)
    return shared


def items(doc: Doc[Any]) -> Array[Any]:
    shared: Array[Any] = doc.get("list", type=Array)
    return shared


def entries(doc: Doc[Any]) -> Map[Any]:
    shared: Map[Any] = doc.get("map", type=Map)
    return shared


def fragment(doc: Doc[Any]) -> XmlFragment:
    shared: XmlFragment = doc.get("xml", type=XmlFragment)
    return shared


def plain_value(rng: Editor, depth: int = 0) -> Any:
    kind = rng.randrange(12 if depth < 3 else 9)
    scalars = [
        None,
        True,
        False,
        0,
        -1,
        63,
        2**31,
        -(2**53) + 1,
        0.5,
        -0.0,
        1e300,
        rng.choice(rng.words),
        b"\x00\xff",
    ]
    if kind < 9:
        return rng.choice(scalars)
    if kind == 9:
        return [plain_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): plain_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def shared_value(rng: Editor, depth: int = 0) -> Any:
    kind = rng.randrange(14 if depth < 2 else 10)
    if kind < 8:
        return plain_value(rng)
    if kind < 10:
        return Text(rng.choice(rng.words))
    if kind == 10:
        return Array([shared_value(rng, depth + 1) for _ in range(rng.randrange(3))])
    if kind == 11:
        return Map({rng.choice(KEYS): shared_value(rng, depth + 1) for _ in range(rng.randrange(3))})
    if kind == 12:
        return Doc(client_id=7, guid=rng.choice(["g", "sub-é"]))
    return XmlFragment([XmlText("xt"), XmlElement("p", {"id": "1"}, [XmlText("in")])])


def byte_offset(rng: Editor, content: str) -> int:
    """A random place between two characters; pycrdt counts UTF-8 bytes."""
    return len(content[: rng.randint(0, len(content))].encode())


def insert_text(rng: Editor, doc: Doc[Any]) -> None:
    target = text(doc)
    attrs = rng.choice([None, None, None, {"bold": True}, {"color": "#f00"}, {"link": {"href": "x", "t": 1}}])
    target.insert(byte_offset(rng, plain(target)), rng.choice(rng.words), attrs)


def append_text(rng: Editor, doc: Doc[Any]) -> None:
    target = text(doc)
    target += rng.choice(rng.words)


def delete_text(rng: Editor, doc: Doc[Any]) -> None:
    target = text(doc)
    start, stop = sorted(byte_offset(rng, plain(target)) for _ in range(2))
    if start < stop:
        del target[start:stop]


def plain(target: Text) -> str:
    """The text, unless embeds make its string and its offsets differ: then nothing, so edits go to the front."""
    content = str(target)
    return content if len(content.encode()) == len(target) else ""


def format_text(rng: Editor, doc: Doc[Any]) -> None:
    target = text(doc)
    start, stop = sorted(byte_offset(rng, plain(target)) for _ in range(2))
    if start < stop:
        target.format(start, stop, {"bold": rng.choice([True, None]), "size": rng.choice([1, 1.5, None])})


def embed_in_text(rng: Editor, doc: Doc[Any]) -> None:
    text(doc).insert_embed(
        0, rng.choice([{"image": "u", "width": 3}, {"hr": True}, "s"]), rng.choice([None, {"a": 1}])
    )


def insert_item(rng: Editor, doc: Doc[Any]) -> None:
    target = items(doc)
    target.insert(rng.randint(0, len(target)), shared_value(rng))


def extend_items(rng: Editor, doc: Doc[Any]) -> None:
    items(doc).extend([plain_value(rng) for _ in range(rng.randrange(5))])


def delete_items(rng: Editor, doc: Doc[Any]) -> None:
    target = items(doc)
    if len(target):
        start = rng.randrange(len(target))
        del target[start : min(len(target), start + rng.randint(1, 3))]


def edit_nested(rng: Editor, doc: Doc[Any]) -> None:
    nested = [*(items(doc)[i] for i in range(len(items(doc)))), *entries(doc).values()]
    for target in rng.sample(nested, min(2, len(nested))):
        if isinstance(target, Text):
            target += rng.choice(rng.words)
        elif isinstance(target, Array):
            target.append(shared_value(rng, 1))
        elif isinstance(target, Map):
            target[rng.choice(KEYS)] = shared_value(rng, 1)


def set_entry(rng: Editor, doc: Doc[Any]) -> None:
    entries(doc)[rng.choice(KEYS)] = shared_value(rng)


def delete_entry(rng: Editor, doc: Doc[Any]) -> None:
    target = entries(doc)
    keys = list(target.keys())
    if keys:
        del target[rng.choice(keys)]


def insert_xml(rng: Editor, doc: Doc[Any]) -> None:
    children = fragment(doc).children
    element = XmlElement(
        rng.choice(["p", "h1", "ü"]), {"class": "c", "k": "😀"}, [XmlText(rng.choice(rng.words))]
    )
    child: Any = rng.choice([element, XmlText(rng.choice(rng.words))])
    children.insert(rng.randint(0, len(children)), child)


def edit_xml(rng: Editor, doc: Doc[Any]) -> None:
    children = fragment(doc).children
    if not len(children):
        return
    index = rng.randrange(len(children))
    child = children[index]
    if rng.random() < 0.3:
        del children[index]
    elif isinstance(child, XmlElement):
        child.attributes[rng.choice(["id", "n"])] = rng.choice(rng.words)
        child.children.append(XmlElement("i", {}, []))
    elif isinstance(child, XmlText):
        child.insert(0, rng.choice(rng.words), rng.choice([None, {"b": True}]))


EDITS: list[Callable[[Editor, Doc[Any]], None]] = [
    insert_text, insert_text, insert_text, append_text, append_text, delete_text, delete_text, format_text,
    embed_in_text, insert_item, insert_item, extend_items, delete_items, edit_nested, set_entry, set_entry,
    delete_entry, insert_xml, edit_xml,
]  # fmt: skip
