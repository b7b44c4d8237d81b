"""One server for a data directory, and whether the last one ended as it should.

A file is locked while the server runs and removed when all is committed. Found at the start, it tells of a crash:
others may hold edits that were shown to them and never committed (see `rooms.gate`).
"""

import fcntl
from pathlib import Path

from server.settings import SettingsError, make_data_dir


class RunMarker:
    """Takes the data directory; `ended_badly`: the last server crashed. Raises SettingsError if one is running."""

    def __init__(self, data_dir: Path) -> None:
        make_data_dir(data_dir)
        self._path = data_dir / "running"
        self.ended_badly = self._path.exists()
        self._file = self._path.open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise SettingsError(f"another server uses the data directory {data_dir}") from error

    def clear(self) -> None:
        """All is committed."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the directory free; idempotent."""
        self._file.close()
