"""The hot path gets no longer unnoticed: `hot_path_checks.py`, in a process of its own.

What counts calls is the interpreter's profiler, which is kept out of the process that runs all the other tests.
"""

import subprocess
import sys
from pathlib import Path

CHECKS = Path(__file__).with_name("hot_path_checks.py")


def test_the_hot_path_makes_no_more_calls_and_takes_no_more_memory_than_it_did() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(CHECKS)]
    result = subprocess.run(command, cwd=CHECKS.parents[2], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
