"""`make bench`: our server beside its peers, in turn, on the same workloads; tables and a plot of the ratios.

Every run starts a server anew. Within a round all servers do one workload after the other, so that whatever else
happens on the machine happens to all of them. Writes results.jsonl, table.md, plot.svg and plot.png.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.load.plot import draw
from bench.load.report import report
from bench.load.results import Record, comparisons, read_records, servers_of
from bench.load.server_kinds import KINDS, OURS, PEERS, kind_of
from bench.load.workloads import WORKLOADS

_RESULTS = Path(__file__).parent.parent / "results"
_RUN_SECONDS = 300.0


def main() -> None:
    options = _options()
    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "results.jsonl"
    if options.reps:
        _check_installed(options.servers)
        _run_all(options.servers, options.workloads, options.reps, file)
    records = read_records(file)
    table = report(records, _facts(records))
    (folder / "table.md").write_text(table)
    draw(comparisons(records), [each for each in servers_of(records) if each != OURS], folder)
    print(table)
    print(f"{folder / 'table.md'} and plot.svg, plot.png, results.jsonl beside it")


def _run_all(servers: Sequence[str], workloads: Sequence[str], rounds: int, file: Path) -> None:
    total, done = rounds * len(workloads) * len(servers), 0
    started_at = time.monotonic()
    with file.open("w") as out:
        for number in range(rounds):
            for workload in workloads:
                for server in servers:
                    record = _run(workload, server) | {"round": number}
                    out.write(json.dumps(record) + "\n")
                    out.flush()
                    done += 1
                    print(
                        f"{_progress(record)}  {done}/{total}, {time.monotonic() - started_at:.0f} s",
                        file=sys.stderr,
                    )


def _run(workload: str, server: str) -> Record:
    """What `bench.load.run` prints, or a record of its failure."""
    command = [sys.executable, "-m", "bench.load.run", workload, server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            said, failure = process.communicate(timeout=_RUN_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()  # it stops its server
            said, failure = process.communicate()
        except BaseException:
            process.terminate()
            raise
    if process.returncode == 0:
        record: Record = json.loads(said)
        return record
    error = failure.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
    return {"workload": workload, "server": server.partition("=")[0], "ok": 0.0, "error": error[0]}


def _progress(record: Record) -> str:
    workload = WORKLOADS[record["workload"]]
    said = f"{record.get(workload.main, 0):12.4g} {workload.unit}" if record["ok"] else "      FAILED"
    return f"{record['workload']:<14} {record['server']:<20} {said:<34} {record.get('error', '')}"


def _facts(records: Sequence[Record]) -> list[str]:
    """Of this machine and what is installed."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    packages = json.loads((PEERS / "package-lock.json").read_text())["packages"]
    names = ("yjs", "y-websocket", "@y/websocket-server", "@hocuspocus/server")
    loads = [record["loadavg"] for record in records if "loadavg" in record]
    return [
        f"{time.strftime('%Y-%m-%d')}, {_processor()}, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, Node {node}, "
        + ", ".join(f"{name} {packages[f'node_modules/{name}']['version']}" for name in names)
        + "".join(f", {name} {version(name)}" for name in ("pycrdt", "pycrdt-websocket", "uvicorn")),
        f"{max(record.get('round', 0) for record in records) + 1} rounds; load average before a run"
        f" {min(loads, default=0):.1f} to {max(loads, default=0):.1f}",
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.machine()


def _check_installed(servers: Sequence[str]) -> None:
    for server in servers:
        needed = kind_of(server).needs
        if needed is not None and not needed.exists():
            raise SystemExit(f"{needed} is missing: npm ci --ignore-scripts --prefix {PEERS}")


def _options() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--servers", type=names, default=list(KINDS), help="some of " + ",".join(KINDS) + "; NAME=PATH is the"
        " costudio command of another checkout, to compare two versions"
    )  # fmt: skip
    parser.add_argument(
        "--workloads", type=names, default=list(WORKLOADS), help="some of " + ",".join(WORKLOADS)
    )
    parser.add_argument(
        "--reps", type=int, default=2, help="rounds; 0 writes the tables of the last time anew"
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the results")
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    unknown += [name for name in options.servers if "=" not in name and name not in KINDS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return options


if __name__ == "__main__":
    main()
