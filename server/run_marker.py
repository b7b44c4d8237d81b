"""Whether the server ended as it should the last time: a file that exists while it runs.

After a crash others may hold edits that were shown to them and never committed (see `rooms.gate`).
"""

from pathlib import Path


class RunMarker:
    """Makes the file; `ended_badly`: it was there already."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / "running"
        data_dir.mkdir(parents=True, exist_ok=True)
        self.ended_badly = self._file.exists()
        self._file.touch()

    def clear(self) -> None:
        """All is committed."""
        self._file.unlink(missing_ok=True)
