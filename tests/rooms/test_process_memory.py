"""What the process takes, and what there is for it."""

from pathlib import Path

import pytest

from server.rooms import process_memory
from server.rooms.process_memory import available_bytes, give_back, resident_bytes

MiB = 2**20
needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")


@needs_proc
def test_what_is_in_memory_counts() -> None:
    before = resident_bytes()
    held = b"x" * (64 * MiB)
    after = resident_bytes()
    assert before is not None
    assert after is not None
    assert after - before > 32 * MiB
    del held


def test_without_proc_it_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_memory, "_STATM", tmp_path / "statm")
    monkeypatch.setattr(process_memory, "_CGROUPS", tmp_path / "cgroup")
    assert resident_bytes() is None
    assert available_bytes() > 64 * MiB


def test_giving_back_works_on_any_system() -> None:
    give_back()


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "1000\n"}, 1000),
        ("0::/app/one\n", {"memory.max": "max\n", "app/memory.max": "3000", "app/one/memory.max": "max"}, 3000),
        ("0::/app\n", {"memory.max": "4000", "app/memory.max": "2000"}, 2000),
        ("0::/host/path/that/is/not/here\n", {"memory.max": "5000"}, 5000),
        ("9:name=systemd:/\n4:cpu,memory:/app\n0::/\n", {"memory/app/memory.limit_in_bytes": "6000\n"}, 6000),
    ],
)  # fmt: skip
def test_the_limit_of_a_container_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str, files: dict[str, str], expected: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "self").write_text(cgroup)
    monkeypatch.setattr(process_memory, "_CGROUPS", tmp_path / "self")
    monkeypatch.setattr(process_memory, "_CGROUP_FOLDER", tmp_path)
    assert available_bytes() == expected


def test_a_limit_beyond_the_machine_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_memory, "_CGROUPS", tmp_path / "none")
    machine = available_bytes()
    (tmp_path / "self").write_text("4:memory:/\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    monkeypatch.setattr(process_memory, "_CGROUPS", tmp_path / "self")
    monkeypatch.setattr(process_memory, "_CGROUP_FOLDER", tmp_path)
    assert available_bytes() == machine
