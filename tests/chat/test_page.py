"""docs/chat-documents.md says what the code does."""

import re

from server.chat.fields import FIELDS, MAX_EMOJI_CHARACTERS, Field
from server.chat.judgement import Kind
from server.chat.thread import ROOTS
from tests.npm_packages import ROOT

PAGE = (ROOT / "docs" / "chat-documents.md").read_text()


def remark(field: Field) -> str:
    return ", ".join(
        word for word, is_so in (("required", field.is_required), ("stays", field.is_fixed)) if is_so
    )


def test_every_field_is_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (author|server) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (key, field.values, "author" if field.check else "server", remark(field))
        for key, field in FIELDS.items()
    ]


def test_every_reason_is_a_row() -> None:
    table = PAGE[PAGE.index("| reason |") :]
    assert re.findall(r"\| `(\w+)` \| (.+) \|", table) == [(kind.value, kind.meaning) for kind in Kind]


def test_every_root_is_a_row() -> None:
    table = PAGE[: PAGE.index("## A message")]
    assert tuple(re.findall(r"\| `(\w+)` \| Y\.", table)) == ROOTS
    assert f"up to {MAX_EMOJI_CHARACTERS} characters" in table
