"""What received bytes bring: which characters and cursor states they cover.

A run is (key, first, end): the characters `first` to `end - 1` of the author whose client id is `key`. Cursor states
count the same way under `cursor_key`: the state with clock c covers all states before it, since it replaces them.
Servers may merge what several authors typed into one message, so runs are counted and not messages.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.load.dialects import AWARENESS, STEP_1, STEP_2, SYNC, Dialect, awareness_clocks
from bench.load.frames import CLOSE, PING, split_frames
from server.protocol.structs import SKIP, read_structs

Run = tuple[int, int, int]
FIRST_CURSOR_CLOCK = 1
"""The clock of the state with which a client introduces itself; it is not counted."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the bytes of one read bring; all who receive the same bytes share one."""

    messages: int
    runs: tuple[Run, ...]
    updates: tuple[bytes, ...]  # of SyncStep2 and Update messages
    asks: bool  # has a SyncStep1
    answers: bool  # has a SyncStep2
    closes: bool
    pings: tuple[bytes, ...]
    rest: bytes  # the beginning of a frame whose end is still to come
    is_plain: bool  # nothing in it wants a reaction


def read_chunk(data: bytes, dialect: Dialect) -> Chunk:
    """Raises FrameError, MalformedBytes or PermissionError."""
    frames, rest = split_frames(data)
    runs: list[Run] = []
    updates: list[bytes] = []
    pings: list[bytes] = []
    messages = 0
    asks = answers = closes = False
    for first_byte, payload in frames:
        if first_byte == PING:
            pings.append(payload)
        elif first_byte == CLOSE:
            closes = True
        else:
            messages += 1
            kind, step, content = dialect.read(payload)
            if kind == AWARENESS:
                runs += cursor_runs(content)
            elif kind == SYNC and step == STEP_1:
                asks = True
            elif kind == SYNC:
                answers = answers or step == STEP_2
                updates.append(content)
                runs += text_runs(content)
    is_plain = not (asks or answers or closes or pings)
    return Chunk(messages, tuple(runs), tuple(updates), asks, answers, closes, tuple(pings), rest, is_plain)


def text_runs(update: bytes) -> list[Run]:
    """What a Yjs update covers, neighbours joined."""
    runs: list[Run] = []
    for struct in read_structs(update)[0]:
        if struct.ref == SKIP:
            continue
        end = struct.clock + struct.length
        if runs and runs[-1][0] == struct.client and runs[-1][2] == struct.clock:
            runs[-1] = (struct.client, runs[-1][1], end)
        else:
            runs.append((struct.client, struct.clock, end))
    return runs


def cursor_key(client_id: int) -> int:
    """The key of a client's cursor states; client ids are not negative, so it is no author's."""
    return ~client_id


def cursor_runs(entries: bytes) -> list[Run]:
    """What awareness entries cover. Index 0 is the first state after the introduction."""
    return [
        (cursor_key(client_id), 0, clock - FIRST_CURSOR_CLOCK)
        for client_id, clock in awareness_clocks(entries)
        if clock > FIRST_CURSOR_CLOCK
    ]


def ends(runs: Iterable[Run]) -> dict[int, int]:
    """By key, where the last run ends."""
    last: dict[int, int] = {}
    for key, _, end in runs:
        last[key] = max(end, last.get(key, 0))
    return last
