"""Progress is for people at a terminal; nobody's log has any of it."""

from io import StringIO

import pytest
from rich.console import Console

from server.operator.progress import progress


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_alone(is_terminal: bool) -> None:
    shown = StringIO()
    with progress(Console(file=shown, force_terminal=is_terminal, width=80)) as report:
        report("copying", 1, 3)
        report("copying", 3, 3)
        report("counting", 7, None)
    assert ("copying" in shown.getvalue()) == is_terminal
    assert ("100%" in shown.getvalue()) == is_terminal
    assert is_terminal or shown.getvalue() == ""
