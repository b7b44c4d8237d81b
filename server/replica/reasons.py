"""Why something was refused, in words: what the rules of each kind of document name their own of."""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A value for programs and tests, with a `meaning` for people."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        reason = str.__new__(cls, value)
        reason._value_ = value
        reason.meaning = meaning
        return reason
