"""What was written to a document, change by change, and moments between the changes."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

_SEQ = re.compile(r"0|[1-9][0-9]{0,17}")
_MS = 1000


class BadMoment(ValueError):
    """A text that names no moment of a document."""


class Change(NamedTuple):
    """One update, as its client wrote it. `seq`: the row of the log that has it; `client_ids`: the author's own.

    `run_id`: of the agent that is its author, if it is one.
    """

    data: bytes
    seq: int
    at_ms: int
    author_id: int | None
    client_ids: frozenset[int]
    run_id: int | None = None


class Changes(NamedTuple):
    """All of a document's epoch, in order. `authors`: client id -> user. A moment is how many have been made."""

    epoch: int
    all: Sequence[Change]
    authors: Mapping[int, int]

    @property
    def size_bytes(self) -> int:
        """Of all updates."""
        return sum(len(each.data) for each in self.all)

    def author_of(self, number: int, client: int) -> int | None:
        """Who wrote what change `number` brings of this client; somebody else's may have been relayed."""
        change = self.all[number]
        return change.author_id if client in change.client_ids else self.authors.get(client, change.author_id)

    def until_seq(self, seq: int) -> int:
        """The moment after the row `seq`; a row that was packed with others is there only with all of them."""
        return next((number for number, each in enumerate(self.all) if each.seq > seq), len(self.all))

    def until_ms(self, at_ms: int) -> int:
        """The moment at that time, ms since 1970; where the clock went back, the first that fits."""
        return next((number for number, each in enumerate(self.all) if each.at_ms > at_ms), len(self.all))

    def moment(self, text: str) -> int:
        """`text`: a seq, or a time as ISO 8601 has it, with its zone. Raises BadMoment."""
        if _SEQ.fullmatch(text):
            return self.until_seq(int(text))
        return self.until_ms(parse_time_ms(text))


def parse_time_ms(text: str) -> int:
    """Milliseconds since 1970 of a time as ISO 8601 has it, with its zone. Raises BadMoment."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise BadMoment(f"{text!r} is neither a seq nor a time such as 2026-05-04T09:30:00Z") from None
    if time.tzinfo is None:
        raise BadMoment(f"{text!r} has no zone: end it with Z, or with +02:00")
    return round(time.timestamp() * _MS)
