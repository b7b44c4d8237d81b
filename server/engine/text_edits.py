"""Edits of a document's text, made by an engine as a client would make them: what is written is an update.

The engine counts bytes of UTF-8, and an embed as one; here places are bytes of what `Document.text` says alone.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from pycrdt import Doc, Text

from server.engine.document import EngineFailure

ByteEdit = tuple[int, int, str]
"""(start, end, text): replace the bytes [start, end), whole characters, with the text."""


def write_edits(content: Sequence[bytes], root: str, edits: Sequence[ByteEdit], client_id: int) -> bytes:
    """What a client of this id writes when it edits the text under the root so.

    `content`: the document, as updates; it has nothing of this id. `edits`: ascending, apart, at least one. Takes
    time by their number times the number of pieces that the text is in. Raises EngineFailure.
    """
    try:
        return _write(content, root, edits, client_id)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic is no Exception
        raise EngineFailure(f"{type(error).__name__}: {error}") from error


def _write(content: Sequence[bytes], root: str, edits: Sequence[ByteEdit], client_id: int) -> bytes:
    document: Doc[Text] = Doc(client_id=client_id)
    for update in content:
        document.apply_update(update)
    text = document.get(root, type=Text)
    embeds = _embeds(text)
    written: list[bytes] = []
    subscription = document.observe(lambda event: written.append(event.update))
    with document.transaction():
        grown = 0
        for (
            start,
            end,
            new,
        ) in edits:  # ascending: cutting the rest off is cheap, cutting the beginning off is not
            for first, last in reversed(_runs(start, end, embeds)):
                del text[first + grown : last + grown]
            if new:
                text.insert(start + bisect_left(embeds, start) + grown, new)
            grown += len(new.encode()) - (end - start)
    document.unobserve(subscription)
    return written[0]


def _embeds(text: Text) -> list[int]:
    """Where in the text's own bytes its embeds are."""
    if len(text) == len(str(text).encode()):
        return []
    found: list[int] = []
    place = 0
    for value, _ in text.diff():
        if isinstance(value, str):
            place += len(value.encode())
        else:
            found.append(place)
    return found


def _runs(start: int, end: int, embeds: Sequence[int]) -> list[tuple[int, int]]:
    """The range as the engine counts, without the embeds in it."""
    before = bisect_right(embeds, start)
    inside = embeds[before : bisect_left(embeds, end)]
    cuts = [start, *inside, end]
    return [
        (first + before + nth, last + before + nth)
        for nth, (first, last) in enumerate(pairwise(cuts))
        if first < last
    ]
