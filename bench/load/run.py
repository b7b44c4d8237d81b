"""`python -m bench.load.run WORKLOAD SERVER`: one workload against one server, one line of JSON.

`make bench` starts it for each run, so that none inherits anything of the one before.
"""

import argparse
import json
import os
import signal
import sys

from bench.load.server_kinds import kind_of
from bench.load.server_process import ServerError, ServerProcess
from bench.load.stage import Stage
from bench.load.swarm import SwarmError
from bench.load.workloads import WORKLOADS, run


def run_once(workload_name: str, server: str) -> dict[str, object]:
    """The run's record. A server that fails has `ok` 0 and an `error`."""
    workload = WORKLOADS[workload_name]
    record: dict[str, object] = {
        "workload": workload_name,
        "server": server.partition("=")[0],
        "loadavg": os.getloadavg()[0],
    }
    try:
        with ServerProcess(kind_of(server), stored=workload.needs_store) as process:
            figures = run(Stage(process), workload)
    except (SwarmError, ServerError, ValueError, PermissionError) as error:
        return record | {"ok": 0.0, "error": f"{type(error).__name__}: {error}"}
    return record | {name: float(f"{value:.6g}") for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("server", help="a name, or NAME=PATH of another costudio command")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the server under test is stopped, too
    print(json.dumps(run_once(options.workload, options.server)))


if __name__ == "__main__":
    main()
