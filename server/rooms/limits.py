"""What one room may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """Of a document, of one update, of what one member may have waiting, and how long edits are gathered."""

    max_document_bytes: int
    max_update_structs: int
    max_held_bytes: int
    max_window_seconds: float
