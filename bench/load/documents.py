"""What is typed: real Yjs updates, made by pycrdt before anything is measured."""

import gzip
import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pycrdt import Doc, Text

from bench.load.dialects import awareness_message
from server.protocol.rename_clients import rename_clients

ROOT = "content"
FIRST_AUTHOR = 1_000_000
_BASE_AUTHOR = 7
_PARAGRAPH = (
    "There was something in the river that morning which nobody had seen there before, and so they looked."
)
_LETTERS = "etaoinshrdlu cmfwyp"
_TRACE = Path(__file__).parents[2] / "tests" / "data" / "editing-traces" / "sveltecomponent.json.gz"


@dataclass(frozen=True, slots=True)
class History:
    """A document as it came about: its updates in order, what they lead to, and the edits in them."""

    updates: tuple[bytes, ...]
    text: str
    state_vector: bytes
    edits: int


def base_document(paragraphs: int) -> History:
    """A short document with a paragraph for each writer."""
    doc: Doc[Text] = Doc(client_id=_BASE_AUTHOR)
    text = doc.get(ROOT, type=Text)
    text += "\n".join([_PARAGRAPH] * paragraphs)
    return History((doc.get_update(),), str(text), doc.get_state(), 1)


def typed(author: int, base: History, paragraph: int, count: int) -> list[bytes]:
    """The updates of somebody who types so many characters at the end of a paragraph, one update each."""
    doc: Doc[Text] = Doc(client_id=author)
    text = doc.get(ROOT, type=Text)
    for update in base.updates:
        doc.apply_update(update)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    choice = random.Random(author)
    position = paragraph * (len(_PARAGRAPH) + 1) + len(_PARAGRAPH)
    for index in range(count):
        text.insert(position + index, choice.choice(_LETTERS))
    doc.unobserve(subscription)
    return updates


def cursor(author: int, clock: int) -> bytes:
    """The awareness message of a cursor in the text, as an editor's binding sends it."""
    place = {"tname": ROOT, "type": None, "item": {"client": author, "clock": clock}, "assoc": 0}
    user = {"name": f"user {author}", "color": "#30bced", "colorLight": "#30bced33"}
    state = {"user": user, "cursor": {"anchor": place, "head": place}}
    said = json.dumps(state, separators=(",", ":")).encode()
    return awareness_message(author, clock, said)


@cache
def recorded_history(edits_per_update: int) -> History:
    """A recorded person's typing and deleting (tests/data/editing-traces), so many edits in one update."""
    trace = json.loads(gzip.decompress(_TRACE.read_bytes()))
    transactions = trace["txns"]
    doc: Doc[Text] = Doc(client_id=FIRST_AUTHOR)
    text = doc.get(ROOT, type=Text)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for start in range(0, len(transactions), edits_per_update):
        with doc.transaction():
            for transaction in transactions[start : start + edits_per_update]:
                for position, deleted, inserted in transaction["patches"]:
                    if deleted:
                        del text[position : position + deleted]
                    if inserted:
                        text.insert(position, inserted)
    doc.unobserve(subscription)
    assert str(text) == trace["endContent"]
    return History(tuple(updates), str(text), doc.get_state(), len(transactions))


@cache
def crowded_history(authors: int) -> History:
    """The recorded typing by several authors in one document, each in one update."""
    once = recorded_history(500)
    doc: Doc[Text] = Doc()
    text = doc.get(ROOT, type=Text)
    single = apply_all(once.updates).get_update()
    updates = tuple(rename_clients(single, {FIRST_AUTHOR: FIRST_AUTHOR + n}) for n in range(authors))
    for update in updates:
        doc.apply_update(update)
    return History(updates, str(text), doc.get_state(), once.edits * authors)


def apply_all(updates: tuple[bytes, ...]) -> "Doc[Text]":
    """The document that these updates make."""
    doc: Doc[Text] = Doc()
    doc.get(ROOT, type=Text)
    for update in updates:
        doc.apply_update(update)
    return doc
