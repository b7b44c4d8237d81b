"""Mutates updates, and whatever the checker lets pass is given to pycrdt in a process that may die of it.

    python -m tests.fuzz.update_fuzzer --seconds 300 [--seed 1]

Survivors go through what a room does: gate, Document, log. What the gate or the placement refuses, and what the
engine refuses by an error or a panic on apply (its sender's loss alone), is counted. A finding is a crash, a hang, a
step over 100 ms or 100 MB, a failure of anything done after an update was applied, a document that differs from
what its log gives. It is made smaller and saved as `crashers/<sha>.json` (state and update in hex, what happened),
which test_update_fuzz.py replays for ever.
"""

import argparse
import hashlib
import json
import os
import re
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.protocol.update_shape import MalformedUpdate, check_update
from tests.fuzz.documents import ASCII_WORDS, Editor, Session
from tests.fuzz.mutations import mutate

CRASHERS = Path(__file__).parent / "crashers"
STEP_MS, STEP_MB = 100, 100
CASE_SECONDS = 5.0  # the watchdog: a whole case takes some 10 ms
MAX_SEED_BYTES = 4096


@dataclass(frozen=True)
class Case:
    """An update and the state of the document that it meets (empty bytes: none)."""

    state: bytes
    update: bytes

    def save(self, verdict: str) -> None:
        name = hashlib.sha256(self.state + b"/" + self.update).hexdigest()[:16]
        content = {"verdict": verdict, "state": self.state.hex(), "update": self.update.hex()}
        (CRASHERS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Case":
        content = json.loads(path.read_text())
        return cls(bytes.fromhex(content["state"]), bytes.fromhex(content["update"]))


class Engine:
    """The worker process, started again whenever it dies."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        """How updates went, in an empty room and in their parent's."""
        self._process: subprocess.Popen[bytes] | None = None

    def verdict(self, case: Case) -> str:
        """What went wrong, or "" if all went well; slowness counts only if it happens three times in a row."""
        verdict = self._once(case)
        for _ in range(2):
            if not verdict.startswith(("slow", "memory", "hang")):
                break
            self.close()
            verdict = self._once(case)
        return verdict

    def _once(self, case: Case) -> str:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            for part in (case.state, case.update):
                process.stdin.write(len(part).to_bytes(4, "big") + part)
            process.stdin.flush()
        if not select.select([process.stdout], [], [], CASE_SECONDS)[0]:
            self.close()
            return f"hang: over {CASE_SECONDS} s"
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self.close()
            return f"crash: exit {code}"
        report = json.loads(line)
        self.outcomes.update(kind_of(outcome) for outcome in report["outcomes"])
        return verdict_of(report)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.fuzz.engine_worker"]
        quiet = {**os.environ, "RUST_BACKTRACE": "0"}
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env=quiet)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def kind_of(outcome: str) -> str:
    """Without what differs from one update to the next."""
    return re.sub(r"\d+", "N", outcome)[:100]


def verdict_of(report: dict[str, Any]) -> str:
    """The finding, if there is one."""
    if report["finding"]:
        return str(report["finding"])
    if report["ms"] > STEP_MS:
        return f"slow: {report['ms']:.0f} ms in {report['slowest']}"
    if report["mb"] > STEP_MB:
        return f"memory: {report['mb']:.0f} MB"
    return ""


@dataclass
class Run:
    seed: int
    engine: Engine = field(default_factory=Engine)
    mutants: int = 0
    survivors: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)

    def go(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for case in self._mutants():
            if time.monotonic() > deadline:
                break
            self.mutants += 1
            if self._passes(case):
                self.survivors += 1
                verdict = self.engine.verdict(case)
                if verdict:
                    self._report(case, verdict)
        self.engine.close()

    def _mutants(self) -> Iterator[Case]:
        for number in range(sys.maxsize):
            rng = Editor(f"{self.seed}/{number}")
            seeds = seed_cases(rng)
            for _ in range(200):
                case, other = rng.choices(seeds, k=2)
                yield Case(case.state, mutate(rng, case.update, other.update))

    def _passes(self, case: Case) -> bool:
        try:
            check_update(case.update)
        except MalformedUpdate as error:
            self.refusals[re.sub(r"\d+", "N", error.reason.split(":")[0])] += 1
            return False
        return True

    def _report(self, case: Case, verdict: str) -> None:
        kind = kind_of(":".join(verdict.split(":")[:3]))
        self.findings[kind] += 1
        if self.findings[kind] <= 3:  # more of the same teach nothing
            small = minimise(self.engine, case, verdict)
            small.save(verdict)
            print(
                f"finding: {verdict}\n  state {small.state.hex()}\n  update {small.update.hex()}", flush=True
            )

    def summary(self) -> str:
        refused = sum(self.refusals.values())
        outcomes = self.engine.outcomes.items()
        counts = Counter(outcome.split(":")[0] for outcome, count in outcomes for _ in range(count))
        found = sum(self.findings.values())
        return (
            f"seed {self.seed}: {self.mutants} mutants, {refused} refused by the checker, "
            f"{self.survivors} survivors; in rooms: {dict(counts)}; {found} findings {dict(self.findings) or ''}"
        )


def seed_cases(rng: Editor) -> list[Case]:
    """Updates of a random session, each with the state of a replica that they come to."""
    rng.words = rng.choice([ASCII_WORDS, Editor.words])
    session = Session.start(rng)
    cases = []
    for _ in range(rng.randrange(5, 40)):
        state = rng.choice(session.replicas).doc.get_update()
        update = session.edit()
        if update is not None:
            cases.append(Case(state, update))
        session.exchange()
    cases += [
        Case(rng.choice([b"", cases[-1].state] if cases else [b""]), update) for update in session.exports()
    ]
    return [case for case in cases if max(len(case.state), len(case.update)) <= MAX_SEED_BYTES] or [
        Case(b"", b"\0\0")
    ]


def minimise(engine: Engine, case: Case, verdict: str, seconds: float = 20.0) -> Case:
    """Drop the state, then ever smaller runs of bytes, as long as the checker passes it and it fails alike."""
    kind = verdict.split(":")[0]
    deadline = time.monotonic() + seconds

    def fails(candidate: Case) -> bool:
        try:
            check_update(candidate.update)
        except MalformedUpdate:
            return False
        return engine.verdict(candidate).startswith(kind)

    if case.state and fails(Case(b"", case.update)):
        case = Case(b"", case.update)
    size = len(case.update) // 2
    while size and time.monotonic() < deadline:
        start = 0
        while start < len(case.update) and time.monotonic() < deadline:
            shorter = Case(case.state, case.update[:start] + case.update[start + size :])
            if fails(shorter):
                case = shorter
            else:
                start += size
        size //= 2
    return case


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run = Run(options.seed)
    run.go(options.seconds)
    print(run.summary())
    for reason, count in [*run.refusals.most_common(), *run.engine.outcomes.most_common()]:
        print(f"  {count:8} {reason}")
    return 1 if run.findings else 0


if __name__ == "__main__":
    sys.exit(main())
