"""CPU time and memory of a process and its children, from /proc. Where there is no /proc there are no figures."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PARENT, _CHILDREN_USER_TICKS, _CHILDREN_SYSTEM_TICKS = 1, 13, 14  # fields behind the name in /proc/PID/stat
_OWN_USER_TICKS, _OWN_SYSTEM_TICKS = 11, 12


@dataclass(frozen=True, slots=True)
class CpuClock:
    """CPU time of a process tree at one moment."""

    thread_seconds: dict[tuple[int, int], float]  # by process and thread
    ended_seconds: float  # of children that have ended

    def since(self, before: "CpuClock") -> float:
        """CPU seconds between two moments. What a thread did since `before` is not known once it has ended."""
        running = sum(
            seconds - before.thread_seconds.get(thread, 0.0)
            for thread, seconds in self.thread_seconds.items()
        )
        return running + self.ended_seconds - before.ended_seconds


def process_tree(pid: int) -> list[int]:
    """The process and all its descendants, itself first."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.glob("[0-9]*"):
        if fields := _stat(int(folder.name)):
            children.setdefault(int(fields[_PARENT]), []).append(int(folder.name))
    tree = [pid]
    for member in tree:
        tree += children.get(member, [])
    return tree


def read_cpu(pid: int) -> CpuClock:
    """The CPU time that the tree of `pid` has taken so far."""
    threads: dict[tuple[int, int], float] = {}
    ended_ticks = 0
    for member in process_tree(pid):
        if not (fields := _stat(member)):
            continue
        ended_ticks += int(fields[_CHILDREN_USER_TICKS]) + int(fields[_CHILDREN_SYSTEM_TICKS])
        own_ticks = int(fields[_OWN_USER_TICKS]) + int(fields[_OWN_SYSTEM_TICKS])
        exact = {(member, thread): seconds for thread, seconds in _thread_seconds(member).items()}
        threads |= exact or {(member, member): own_ticks / _TICKS_PER_SECOND}
    return CpuClock(threads, ended_ticks / _TICKS_PER_SECOND)


def read_memory_bytes(pid: int) -> int:
    """Pss of the tree: what its processes share with others is divided among them."""
    total = 0
    for member in process_tree(pid):
        for line in _read(_PROC / str(member) / "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def _thread_seconds(pid: int) -> dict[int, float]:
    """By thread, in nanoseconds' resolution; empty where the kernel does not say."""
    seconds = {}
    for file in (_PROC / str(pid) / "task").glob("*/schedstat"):
        if said := _read(file).split():
            seconds[int(file.parent.name)] = int(said[0]) / 1e9
    return seconds


def _stat(pid: int) -> list[str]:
    return _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()


def _read(file: Path) -> str:
    """Empty where the process is gone."""
    try:
        return file.read_text()
    except OSError:
        return ""
