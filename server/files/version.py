"""Which state of a document somebody has read: an ETag such as `"1.42-9f86d081884c7d65"`.

It names the document's epoch, a row of its log and the last update of it that is in. That update's digest makes the
name good for ever: where the row was packed with others, and where a database was restored and counts anew.
"""

import re
from hashlib import blake2b
from typing import NamedTuple, Self

_TAG = re.compile(r"([1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,17})(?:-([0-9a-f]{16}))?")


class BadVersion(ValueError):
    """A text that names no version."""


class Version(NamedTuple):
    """`last`: digest of the last update that is in; without one, it is all of the row `seq` and what is before."""

    epoch: int
    seq: int
    last: str = ""

    @classmethod
    def parse(cls, tag: str) -> Self:
        """The inverse of `str`. Raises BadVersion."""
        match = _TAG.fullmatch(tag)
        if match is None:
            raise BadVersion(f"{tag!r} names no version: use one that the server gave")
        return cls(int(match[1]), int(match[2]), match[3] or "")

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}" + (f"-{self.last}" if self.last else "")

    @property
    def etag(self) -> str:
        """As HTTP has it."""
        return f'"{self}"'


def digest_of(update: bytes) -> str:
    """As `Version.last` has it."""
    return blake2b(update, digest_size=8).hexdigest()
