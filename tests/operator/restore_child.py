"""A restore that kills itself, at a chosen one of its steps: `restore_child BACKUP URL STEP`."""

import os
import signal
import sys
from pathlib import Path

from crdt_store import restoring


def main() -> None:
    backup, url, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    step = 0

    def take_step(*_: object) -> None:
        nonlocal step
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)
        step += 1

    replace = os.replace

    def replace_in_a_step(source: Path, target: Path) -> None:
        take_step()
        replace(source, target)
        take_step()

    os.replace = replace_in_a_step  # type: ignore[assignment]
    with restoring.stage(url) as staged:
        restoring.make_ready(backup, staged, take_step)
        restoring.put_in_place(staged, url, take_step, replaces=True)
    take_step()
    print(step)


if __name__ == "__main__":
    main()
