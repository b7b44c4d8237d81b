"""Texts that clients give and people read."""

import unicodedata
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from auth.grants import Role

MAX_NAME_CHARACTERS = 200
_CONTROLS = frozenset(("Cc", "Cs", "Zl", "Zp"))
_BIDI_CONTROLS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def _display_name(text: str) -> str:
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise ValueError(f"must have 1 to {MAX_NAME_CHARACTERS} characters")
    categories = {unicodedata.category(character) for character in name}
    if not categories.isdisjoint(_CONTROLS) or not _BIDI_CONTROLS.isdisjoint(name):
        raise ValueError("must have no control characters, nor any that turn the direction of text")
    if all(category[0] in "CZ" for category in categories):
        raise ValueError("must have something to see")
    return name


def _key(text: str) -> str:
    if "\0" in text or any(unicodedata.category(character) == "Cs" for character in text):
        raise ValueError("must have no NUL, nor half a surrogate pair")
    return text


DisplayName = Annotated[
    str,
    Field(min_length=1, max_length=4 * MAX_NAME_CHARACTERS),  # before it is composed and trimmed
    AfterValidator(_display_name),
]
"""What something is called: composed (NFC), trimmed, in one line that reads as it is written."""

Key = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_key)]
"""A subject, an issuer or a token's id: compared, never shown as a name."""

RoleName = Literal["none", "viewer", "commenter", "editor", "admin"]
"""A `Role`, as the API spells it."""


def role_name(role: Role) -> RoleName:
    """How the API spells it."""
    return cast(RoleName, role.name.lower())


class Body(BaseModel):
    """What clients send: nothing else, and no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)
