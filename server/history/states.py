"""A document as it was, for whoever has a Yjs of their own."""

from server.engine.salvage import salvage
from server.history.changes import Changes
from server.protocol.merge_updates import merge_updates


def update_at(changes: Changes, moment: int) -> bytes:
    """All of it at that moment as one update. Takes time by its size. Raises MemoryError."""
    document, _ = salvage([change.data for change in changes.all[:moment]])
    return merge_updates(document.encoding())
