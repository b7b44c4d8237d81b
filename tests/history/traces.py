"""Recorded histories as changes of a document, with what Yjs itself makes of them (trace_past.mjs)."""

import base64
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

from server.history.changes import Change, Changes

_TRACES = Path(__file__).parent.parent / "data" / "editing-traces"


class Trace(NamedTuple):
    """`authorship`: (author, character), in order. `without`: author -> the text that the others' edits make."""

    changes: Changes
    text: str
    authorship: list[tuple[int, str]]
    without: dict[int, str]


@cache
def trace(name: str) -> Trace:
    """Of tests/data/editing-traces; the authors are 1 and 2. Change number n is row n + 1, at second n."""
    command = ["node", str(Path(__file__).with_name("trace_past.mjs")), str(_TRACES / f"{name}.json.gz")]
    made = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    changes = [
        Change(base64.b64decode(update), number + 1, number * 1000, agent + 1, frozenset({agent + 1}))
        for number, (agent, update) in enumerate(made["order"])
    ]
    authorship = [(agent + 1, character) for agent, character in made["authorship"]]
    without = {agent + 1: text for agent, text in enumerate(made["without"])}
    return Trace(Changes(1, changes, {1: 1, 2: 2}), made["text"], authorship, without)
