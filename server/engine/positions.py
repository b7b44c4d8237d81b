"""Places in a text that stay where they are while it is edited: Yjs' relative positions, for a root that is a text.

yrs panics at a position that is not in the document, so what it is asked for is looked up first.
"""

from pycrdt import Assoc, StickyIndex, Text

from server.engine.document import Document, EngineFailure
from server.protocol.structs import Id


def index_of(document: Document, root: str, item: Id, assoc: int) -> int | None:
    """Where the character, or what is left of it, is in the root's text, in UTF-16; None if it never was in it.

    `assoc`: below 0, behind the character. Raises EngineFailure.
    """
    if not document.is_in_sequence(root, item):
        return None
    client, clock = item
    position = {"item": {"client": client, "clock": clock}, "assoc": -1 if assoc < 0 else 0}
    try:
        return StickyIndex.from_json(position, document.ydoc.get(root, type=Text)).get_index()
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic is no Exception; it has changed nothing
        raise EngineFailure(f"{type(error).__name__}: {error}") from error


def item_at(document: Document, root: str, index: int) -> Id | None:
    """The character at the index of the root's text, in UTF-16; None if the text ends there. Raises EngineFailure."""
    try:
        text = document.ydoc.get(root, type=Text)
        item = text.sticky_index(index, Assoc.AFTER).to_json().get("item")
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise EngineFailure(f"{type(error).__name__}: {error}") from error
    return None if item is None else (item["client"], item["clock"])
