"""The words of a text as search knows them, the same on every database. Pure.

Without case and accents: "Éclair" is found as "eclair". Where a script writes no spaces between words (Chinese,
Japanese, Thai and others) or joins them (Korean), every two neighbouring characters are a word: "東京都" has "東京"
and "京都". So what is found there has all the pairs that were asked for: nearly always, not always, side by side.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

_MAX_TEXT_CHARACTERS = 2**15  # of a message: what is beyond is not found
_MAX_WORD_CHARACTERS = 64  # a longer one is found by its beginning
_MAX_QUERY_WORDS = 32  # what else is asked for is left out

_ACCENTS = re.compile("[\u0300-\u036f]")
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7ff"  # Korean
    "\u2e80-\u312f\u31a0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese, Japanese
)
_RUNS = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_BEGINS_UNSPACED = re.compile(f"[{_UNSPACED}]")


class Word(NamedTuple):
    """A word to look for; with `is_prefix`, whatever begins so."""

    text: str
    is_prefix: bool


def words_of(text: str) -> set[str]:
    """What a message with this text is found by."""
    return {word for run in _runs(text) for word in _words_of_run(run)}


def words_to_find(query: str) -> list[Word]:
    """All that a message must have; the last word may be unfinished. None at all: nothing is found."""
    runs = list(_runs(query))
    found = [Word(word, is_prefix) for run in runs[:-1] for word, is_prefix in _asked(run, is_last=False)]
    found += [Word(word, is_prefix) for run in runs[-1:] for word, is_prefix in _asked(run, is_last=True)]
    return list(dict.fromkeys(found))[:_MAX_QUERY_WORDS]


def _runs(text: str) -> Iterator[str]:
    """The text's letters, digits and their marks, cut where anything else is, and where scripts meet."""
    folded = _folded(text[:_MAX_TEXT_CHARACTERS])[:_MAX_TEXT_CHARACTERS]
    spaced = "".join(each if unicodedata.category(each)[0] in "LMN" else " " for each in folded)
    for word in spaced.split():
        yield from _RUNS.findall(word)


def _folded(text: str) -> str:
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", plain.casefold())


def _words_of_run(run: str) -> Iterable[str]:
    if not _is_unspaced(run):
        return [run[:_MAX_WORD_CHARACTERS]]
    # The last character also alone: every one begins a word, so that it is found as a prefix.
    return [first + second for first, second in pairwise(run)] + [run[-1]]


def _asked(run: str, *, is_last: bool) -> list[tuple[str, bool]]:
    if not _is_unspaced(run):
        return [(run[:_MAX_WORD_CHARACTERS], is_last)]
    if len(run) == 1:
        return [(run, True)]
    return [(first + second, False) for first, second in pairwise(run)]


def _is_unspaced(run: str) -> bool:
    return _BEGINS_UNSPACED.match(run) is not None
