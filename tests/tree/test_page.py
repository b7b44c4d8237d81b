"""docs/tree.md says what the code does."""

import re

from server.tree.entries import Entry, Folder
from server.tree.refusals import Kind
from tests.npm_packages import ROOT

PAGE = (ROOT / "docs" / "tree.md").read_text()


def test_every_reason_is_a_row() -> None:
    table = PAGE[PAGE.index("| reason |") :].partition("\n\n")[0]
    assert re.findall(r"\| `(\w+)` \| (.+) \|", table) == [(kind.value, kind.meaning) for kind in Kind]


def test_every_field_is_named() -> None:
    for root, fields in (("files", Entry._fields), ("folders", Folder._fields)):
        (said,) = re.findall(rf"^\| `{root}` \| .*`{{(.+)}}`", PAGE, re.MULTILINE)
        assert tuple(said.split(", ")) == fields
