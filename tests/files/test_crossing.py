"""What an author had not seen is found from what it lacked, however far back it is."""

import pytest

from server.engine.text_edits import write_edits
from server.files.crossing import Crossed, LookFurther, what_crossed
from server.files.version import Version, digest_of
from server.files.versions import ROOT, WrittenBy

ALICE, BOB, EVE = 1, 2, 3


class Log:
    """A file, and what was written to it by whom."""

    def __init__(self) -> None:
        self.written: list[WrittenBy] = []
        self._text = ""

    def write(self, author_id: int, client_id: int, text: str, *, seen: int | None = None) -> WrittenBy:
        """At the beginning, by somebody who has seen so many of the updates; None: all."""
        return self._add(author_id, client_id, [(0, 0, text)], seen)

    def erase(self, author_id: int, client_id: int, start: int, end: int) -> WrittenBy:
        return self._add(author_id, client_id, [(start, end, "")], None)

    def _add(
        self, author_id: int, client_id: int, edits: list[tuple[int, int, str]], seen: int | None
    ) -> WrittenBy:
        before = [each.data for each in self.written[:seen]]
        data = write_edits(before, ROOT, edits, client_id)
        version = Version(1, len(self.written) + 1, digest_of(data))
        self.written.append(WrittenBy(data, author_id, version, len(self.written)))
        return self.written[-1]


def names(log: Log, crossed: Crossed | None) -> tuple[int, list[int], list[int], list[int]] | None:
    if crossed is None:
        return None
    index = log.written.index
    return (
        index(crossed.seen),
        [index(each) for each in crossed.known],
        [index(each) for each in crossed.others],
        [index(each) for each in crossed.mine],
    )


def test_all_after_what_it_has_seen_is_new_to_the_author() -> None:
    log = Log()
    log.write(ALICE, 10, "a")
    log.write(EVE, 30, "e")
    log.write(ALICE, 11, "b")
    log.write(BOB, 20, "mine", seen=2)
    crossed = what_crossed(log.written, BOB, {11: 0}, is_whole=False)
    assert names(log, crossed) == (1, [], [2], [3])


def test_what_the_author_had_sent_while_it_was_leaving_is_its_own() -> None:
    log = Log()
    log.write(ALICE, 10, "a")
    log.write(ALICE, 11, "b")
    log.write(BOB, 20, "first", seen=1)
    log.write(BOB, 21, "second", seen=1)
    crossed = what_crossed(log.written, BOB, {11: 0}, is_whole=False)
    assert names(log, crossed) == (0, [], [1], [2, 3])


def test_deletions_are_known_to_who_names_them() -> None:
    log = Log()
    log.write(ALICE, 10, "abc")
    log.erase(ALICE, 11, 0, 1)
    unaware = log.write(BOB, 20, "mine", seen=1)
    assert names(log, what_crossed(log.written, BOB, {}, is_whole=True)) == (0, [], [1], [2])
    log.written.pop()
    log._add(BOB, 20, [(0, 1, "")], None)
    log.written[-1] = log.written[-1]._replace(data=log.written[1].data)  # names just this deletion
    assert what_crossed(log.written, BOB, {}, is_whole=True) is None
    assert unaware not in log.written


def test_it_is_looked_for_further_back_until_there_is_something_that_was_seen() -> None:
    log = Log()
    for number in range(4):
        log.write(ALICE, 10 + number, "a")
    log.write(BOB, 20, "mine", seen=1)
    lacked = {11: 0, 12: 0, 13: 0}
    for first in (1, 2, 3):
        with pytest.raises(LookFurther):
            what_crossed(log.written[first:], BOB, lacked, is_whole=False)
    assert names(log, what_crossed(log.written, BOB, lacked, is_whole=False)) == (0, [], [1, 2, 3], [4])


def test_nothing_crosses_where_nothing_was_missed_or_nothing_is_common() -> None:
    log = Log()
    log.write(ALICE, 10, "a")
    log.write(BOB, 20, "mine")
    assert what_crossed(log.written, BOB, {}, is_whole=False) is None
    assert what_crossed(log.written, BOB, {10: 0}, is_whole=True) is None
