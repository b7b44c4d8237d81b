"""The memory of this process: what it takes, what there is for it, and giving back what it no longer needs."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_STATM = Path("/proc/self/statm")
_CGROUPS, _CGROUP_FOLDER = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int | None:
    """What of this process is in memory; None where the system has no /proc to say."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return None


def available_bytes() -> int:
    """What the machine has in all, or the container this runs in may take of it."""
    return min((os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES, *_container_limits()))


def _container_limits() -> Iterator[int]:
    """The limits of this process' control group and of those it is in; none is told as a huge number or `max`."""
    try:
        lines = _CGROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, file = _CGROUP_FOLDER, "memory.max"
        elif "memory" in controllers.split(","):
            root, file = _CGROUP_FOLDER / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root) and (limit := _read_limit(folder / file)) is not None:
                yield limit


def _read_limit(file: Path) -> int | None:
    try:
        limit = file.read_text().strip()
    except OSError:  # in a container the path is the host's, and only the root is there
        return None
    return int(limit) if limit.isdecimal() else None


def give_back() -> None:
    """Return freed memory to the system: glibc keeps it for the next one that asks."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
