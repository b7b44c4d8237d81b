"""Questions about a document's past, each answered from its changes alone: what the workshop does."""

from server.history.changes import Changes
from server.history.past import Past
from server.history.reading import Part, Piece, blame, compare, text_at
from server.history.turning_back import restoring, turn_back, without, without_run

ROOT = "content"
"""What is read where no root is named."""


def text_of_moment(changes: Changes, moment: int, root: str) -> str:
    """How the text under the root read."""
    return text_at(Past(_until(changes, moment)), root, moment)


def blame_at(changes: Changes, moment: int, root: str) -> list[Piece]:
    """Who wrote what of it."""
    return blame(Past(_until(changes, moment)), root, moment)


def comparison(changes: Changes, before: int, after: int, root: str) -> list[Part]:
    """The text at two moments as one."""
    return compare(Past(_until(changes, max(before, after))), root, before, after)


def restoration(changes: Changes, moment: int, client_id: int) -> bytes | None:
    """The edit that makes the document what it was; None if it is."""
    return turn_back(Past(changes), restoring(moment), client_id, is_exact=True)


def reversal(changes: Changes, author_id: int, since: int, client_id: int) -> bytes | None:
    """The edit that takes back what a user has done since; None if there is nothing to do."""
    past = Past(changes)
    return turn_back(past, without(past, author_id, since), client_id, is_exact=False)


def reversal_of_run(changes: Changes, run_id: int, client_id: int) -> bytes | None:
    """The edit that takes back what a run of an agent has done; None if there is nothing to do."""
    past = Past(changes)
    return turn_back(past, without_run(past, run_id), client_id, is_exact=False)


def _until(changes: Changes, moment: int) -> Changes:
    return changes._replace(all=changes.all[:moment])
