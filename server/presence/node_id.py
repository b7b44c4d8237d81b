"""Which server this is: the same after a restart, so that it can clear up after itself."""

import secrets
from pathlib import Path

_FILE = "node-id"


def node_id(data_dir: Path) -> str:
    """The id kept in the data directory, which one server uses at a time; made at first use. Raises OSError."""
    file = data_dir / _FILE
    if file.exists() and (found := file.read_text().strip()):
        return found
    made = secrets.token_hex(16)
    draft = file.with_suffix(".draft")
    draft.write_text(made)
    draft.replace(file)
    return made
