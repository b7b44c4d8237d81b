"""People who type or move their cursors, and people who watch."""

import random
import statistics
from dataclasses import dataclass

from pycrdt import Doc, Text

from bench.load.client import Client
from bench.load.coverage import cursor_key
from bench.load.documents import FIRST_AUTHOR, ROOT, History, base_document, typed
from bench.load.figures import Figures, percentile
from bench.load.stage import Measured, Stage
from bench.load.timetable import Event, Sent, drain, keep_outstanding, latencies_ms, play

_DRAIN_SECONDS = 40.0
_FLOOD_UPDATES = 30_000


@dataclass(frozen=True, slots=True)
class Live:
    """Rooms with `writers` and `receivers` (who only watch) in each."""

    writers: int
    receivers: int = 0
    rooms: int = 1
    rate: float = 0.0  # of each writer, a second
    seconds: float = 4.0
    window: int = 0  # instead of a rate: so many updates on their way
    cursors: bool = False
    compares_texts: bool = False


def run_live(stage: Stage, live: Live) -> Figures:
    """Type for a while; what it cost the server, and how long the characters were on their way."""
    stage.warm_up(cursors=live.cursors)
    base = base_document(live.writers)
    rooms = [f"live-{number}" for number in range(live.rooms)]
    silent = stage.hold_open(rooms, base)
    crowd = _Crowd(stage, live, rooms, base)
    for client in crowd.everyone:
        client.received = [] if live.compares_texts else None
    stage.swarm.open(crowd.everyone)
    others = live.writers + live.receivers - 1
    with stage.measuring() as measured:
        if live.window:
            sent = keep_outstanding(stage.swarm, crowd.events, live.window, others, live.seconds)
        else:
            sent = play(stage.swarm, crowd.events)
        wanted = sent.count * others
        complete = drain(stage.swarm, wanted, _DRAIN_SECONDS)
    figures = _figures(stage, measured, sent, wanted)
    figures["ok"] = float(complete and not stage.swarm.lost)
    if live.compares_texts and not crowd.have_one_text(base):
        figures["ok"] = 0.0
    stage.swarm.close([*crowd.everyone, *silent])
    return figures


class _Crowd:
    """The clients of all rooms, and what they will send."""

    def __init__(self, stage: Stage, live: Live, rooms: list[str], base: History) -> None:
        self.everyone: list[Client] = []
        self.events: list[Event] = []
        self._typed: dict[Client, list[bytes]] = {}
        count = _FLOOD_UPDATES if live.window else round(live.rate * live.seconds)
        phase = random.Random(1)
        for room in rooms:
            for paragraph in range(live.writers):
                author = FIRST_AUTHOR + len(self.everyone)
                if live.cursors:
                    writer = stage.introduced(room, author)
                    frames = [stage.cursor_frame(room, author, index) for index in range(count)]
                else:
                    writer = stage.client(room, author=author)
                    self._typed[writer] = typed(author, base, paragraph, count)
                    frames = [stage.update_frame(room, update) for update in self._typed[writer]]
                key = cursor_key(author) if live.cursors else author
                pause = 1 / live.rate if live.rate else 0.0
                begins = phase.random() * pause
                self.events += [
                    Event(begins + number * pause, writer, frame, key) for number, frame in enumerate(frames)
                ]
                self.everyone.append(writer)
            self.everyone += [stage.client(room) for _ in range(live.receivers)]

    def have_one_text(self, base: History) -> bool:
        """Whether all replicas, made of what each received and typed, end in the same text of the right length."""
        texts = {self._text(client) for client in self.everyone}
        length = len(base.text) + sum(map(len, self._typed.values()))
        return len(texts) == 1 and len(texts.pop()) == length

    def _text(self, client: Client) -> str:
        doc: Doc[Text] = Doc()
        text = doc.get(ROOT, type=Text)
        for update in self._typed.get(client, []):  # an echo is not owed
            doc.apply_update(update)
        for chunk in client.received or []:
            for update in chunk.updates:
                doc.apply_update(update)
        return str(text)


def _figures(stage: Stage, measured: Measured, sent: Sent, wanted: int) -> Figures:
    swarm = stage.swarm
    covered = max(swarm.covered, 1)
    latencies = latencies_ms(swarm.arrivals, sent.times)
    last_at = max((arrival[0] for arrival in swarm.arrivals), default=sent.started_at)
    span_seconds = max(last_at - sent.started_at, 1e-3)
    return {
        "cpu_us": measured.cpu_seconds / covered * 1e6,
        "per_second": covered / span_seconds,
        "p50_ms": statistics.median(latencies) if latencies else 0.0,
        "p99_ms": percentile(latencies, 99),
        "cpu_percent": 100 * measured.cpu_seconds / measured.seconds,
        "memory_mb": stage.memory_bytes() / 1e6,
        "covered": float(swarm.covered),
        "wanted": float(wanted),
        "messages": float(swarm.messages),
        "generator_cpu_percent": 100 * measured.generator_cpu_seconds / measured.seconds,
        "generator_late_p99_ms": 1000 * percentile(sent.late_seconds, 99),
    }
