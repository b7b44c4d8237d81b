"""The condenser's child with an engine that does as the text of an update says.

    python hostile_child.py PID_FILE

Appends its process id to the file, so that a test sees how many there were; PID_FILE.deed appears when it does harm.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from server.engine import condense_child
from server.engine.document import Document


def hang() -> None:
    while True:
        pass


def run_out_of_memory() -> None:
    """As Rust does."""
    os.write(2, b"memory allocation of 99 bytes failed\n")
    os.abort()


DEEDS: dict[bytes, Callable[[], object]] = {
    b"SEGFAULT": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    b"HANG": hang,
    b"SLEEP": lambda: time.sleep(3600),
    b"OUT OF MEMORY": run_out_of_memory,
    b"OOM KILLER": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"EXIT": lambda: os._exit(3),
}

integrate = Document._integrate


def do_as_it_says(self: Document, update: bytes) -> None:
    for word, deed in DEEDS.items():
        if word in update:
            Path(f"{sys.argv[1]}.deed").touch()
            deed()
    integrate(self, update)


if __name__ == "__main__":
    with Path(sys.argv[1]).open("a") as file:
        file.write(f"{os.getpid()}\n")
    Document._integrate = do_as_it_says  # type: ignore[method-assign]
    condense_child.main()
