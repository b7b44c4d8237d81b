"""People who come: one by one, after a restart of the server, all at once; and people who just stay."""

import statistics
from dataclasses import dataclass

from pycrdt import Text

from bench.load.client import Client
from bench.load.coverage import FIRST_CURSOR_CLOCK, ends, text_runs
from bench.load.documents import (
    FIRST_AUTHOR,
    ROOT,
    History,
    apply_all,
    crowded_history,
    cursor,
    recorded_history,
)
from bench.load.figures import Figures
from bench.load.stage import Stage

_ROOM = "join"
_SERVER_BACKLOG = 1000


@dataclass(frozen=True, slots=True)
class Join:
    """The recorded history, typed by so many authors, is fetched so often by newcomers."""

    authors: int
    times: int


@dataclass(frozen=True, slots=True)
class ColdJoin:
    """The same by the first one after a restart; the server has got the history in updates of so many edits."""

    edits_per_update: int


@dataclass(frozen=True, slots=True)
class Storm:
    """So many clients lose their connections at once and come back at once, knowing the document."""

    clients: int
    rooms: int


@dataclass(frozen=True, slots=True)
class Idle:
    """So many clients, two in each room, who show a cursor and do nothing."""

    clients: int


def run_join(stage: Stage, join: Join) -> Figures:
    """Milliseconds from connecting to having the whole document, which others have open."""
    history = crowded_history(join.authors)
    silent = stage.hold_open([_ROOM], history)
    _join(stage, history)  # whatever is made at the first time is made now
    with stage.measuring() as measured:
        joins = [_join(stage, history) for _ in range(join.times)]
    milliseconds = [ms for ms, _ in joins]
    figures = {
        "join_ms": statistics.median(milliseconds),
        "slowest_ms": max(milliseconds),
        "cpu_ms": 1000 * measured.cpu_seconds / join.times,
        "memory_mb": stage.memory_bytes() / 1e6,
        "ok": float(all(is_whole for _, is_whole in joins)),
    }
    stage.swarm.close(silent)
    return figures


def run_cold_join(stage: Stage, join: ColdJoin) -> Figures:
    """Milliseconds of the first join after a restart, and what it cost the server."""
    history = recorded_history(join.edits_per_update)
    silent = stage.hold_open([_ROOM], history)
    stage.wait_idle(1.0)
    stage.swarm.close(silent)
    stage.wait_idle(0.5)
    stage.server.stop()
    stage.server.start()
    stage.wait_idle(0.3)
    with stage.measuring() as measured:
        milliseconds, is_whole = _join(stage, history)
    return {
        "join_ms": milliseconds,
        "cpu_ms": 1000 * measured.cpu_seconds,
        "memory_mb": stage.memory_bytes() / 1e6,
        "ok": float(is_whole),
    }


def _join(stage: Stage, history: History) -> tuple[float, bool]:
    """Milliseconds, and whether the newcomer's text was the right one.

    One server answers before it has loaded the document, and sends it afterwards: the last part counts.
    """
    client = stage.client(_ROOM)
    client.received = []
    stage.swarm.open([client])
    stage.wait_covered(client, ends(run for update in history.updates for run in text_runs(update)))
    milliseconds = (stage.swarm.last_arrival_at - client.opened_at) * 1000
    updates = tuple(update for chunk in client.received for update in chunk.updates)
    stage.swarm.close([client])
    return milliseconds, str(apply_all(updates).get(ROOT, type=Text)) == history.text


def run_storm(stage: Stage, storm: Storm) -> Figures:
    """CPU seconds of the server until all have their answer and nothing more is sent."""
    history = recorded_history(500)
    rooms = [f"storm-{number}" for number in range(storm.rooms)]
    silent = stage.hold_open(rooms, history)

    def crowd(clock: int) -> list[Client]:
        authors = range(FIRST_AUTHOR, FIRST_AUTHOR + storm.clients)
        return [_visitor(stage, rooms[author % len(rooms)], author, clock, history) for author in authors]

    first, second = crowd(FIRST_CURSOR_CLOCK), crowd(FIRST_CURSOR_CLOCK + 1)
    stage.swarm.open(first)
    with stage.measuring() as measured:
        stage.swarm.close(first)
        stage.swarm.open(second, at_once=_SERVER_BACKLOG)
        stage.swarm.settle(0.5)
    synced = sorted(client.synced_at - min(each.opened_at for each in second) for client in second)
    figures = {
        "cpu_s": measured.cpu_seconds,
        "all_synced_s": synced[-1],
        "half_synced_s": statistics.median(synced),
        "received_mb": stage.swarm.received_bytes / 1e6,
        "memory_mb": stage.memory_bytes() / 1e6,
        "generator_cpu_percent": 100 * measured.generator_cpu_seconds / measured.seconds,
        "ok": float(not stage.swarm.lost),
    }
    stage.swarm.close([*second, *silent])
    return figures


def _visitor(stage: Stage, room: str, author: int, clock: int, history: History) -> Client:
    """Somebody who has the document and shows a cursor."""
    awareness = cursor(author, clock)
    visitor = stage.client(room, author=author, state_vector=history.state_vector, awareness=awareness)
    visitor.has = None
    return visitor


def run_idle(stage: Stage, idle: Idle) -> Figures:
    """KB of the server's memory for each connection, and what it does when nobody does anything."""
    before = stage.memory_bytes(1.0)
    rooms = [f"idle-{number}" for number in range(idle.clients // 2)]
    first = [stage.introduced(room, FIRST_AUTHOR + number) for number, room in enumerate(rooms)]
    second = [stage.introduced(room, FIRST_AUTHOR + len(rooms) + number) for number, room in enumerate(rooms)]
    stage.swarm.open(first)  # one server must not have a room opened by two at once
    stage.swarm.open(second)
    with stage.measuring() as measured:
        after = stage.memory_bytes(2.0)
    figures = {
        "kb_per_connection": (after - before) / 1000 / (2 * len(rooms)),
        "cpu_percent": 100 * measured.cpu_seconds / measured.seconds,
        "memory_mb": after / 1e6,
        "ok": float(not stage.swarm.lost),
    }
    stage.swarm.close([*first, *second])
    return figures
