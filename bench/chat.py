"""`python -m bench.chat`: a chat on this machine, through a real server on SQLite, every commit synced to disk.

`acks`: messages acknowledged a second with 2 and 200 JSON clients in the room, two of whom write.
`ways`: how long a message takes to the other side: from JSON to JSON, from JSON to Yjs, from Yjs to JSON.
`busy`: 500 JSON clients, one message a second; each says when it has got and read it: what that costs.
"""

import argparse
import asyncio
import os
import random
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from auth.minting import TokenMinter
from bench.chat_people import ROOM, JsonPerson, YjsPerson
from bench.load.figures import percentile
from bench.load.process_stats import read_cpu
from server.settings import Settings
from server.token_settings import token_minter
from tests.server_process import ServerProcess, running_server

MEMBERS = (2, 200)
BUSY_MEMBERS = 500
ON_THEIR_WAY = 32
_UNLIMITED = "1000000"
_JOINING = 20
_MESSAGES_A_SECOND = 20


@asynccontextmanager
async def opened_chat() -> AsyncIterator[tuple[ServerProcess, TokenMinter]]:
    secret = secrets.token_hex(32)
    limits = ("max_chat_messages_per_minute_per_user", "max_messages_per_second_per_connection")
    settings = {f"COSTUDIO_{name.upper()}": _UNLIMITED for name in limits}
    with tempfile.TemporaryDirectory(prefix="costudio-bench-") as folder:
        tokens = token_minter(Settings(data_dir=Path(folder), jwt_secret=secret))
        async with running_server(Path(folder), settings | {"COSTUDIO_JWT_SECRET": secret}) as server:
            yield server, tokens


async def gather(server: ServerProcess, tokens: TokenMinter, count: int) -> list[JsonPerson]:
    """So many people in the room."""
    people: list[JsonPerson] = []
    for start in range(0, count, _JOINING):
        users = range(start, min(start + _JOINING, count))
        people += await asyncio.gather(
            *(JsonPerson().join(server.port, tokens, f"user-{number}") for number in users)
        )
    return people


async def acks(seconds: float) -> None:
    """Two write as fast as they are acknowledged, with so many messages on their way."""
    print(
        f"{'members':>8}{'acked/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'heard/s':>9}{'server CPU':>12}{'bench CPU':>11}"
    )
    for members in MEMBERS:
        async with opened_chat() as (server, tokens):
            people = await gather(server, tokens, members)
            writers = people[:2]
            sent: list[dict[str, float]] = [{}, {}]
            cpu, own, began = read_cpu(server.pid), time.process_time(), time.perf_counter()
            for writer, theirs in zip(writers, sent, strict=True):
                _keep_writing(writer, theirs)
            await asyncio.sleep(seconds)
            took = time.perf_counter() - began
            cpu_percent = 100 * read_cpu(server.pid).since(cpu) / took
            own_percent = 100 * (time.process_time() - own) / took
            for writer in writers:
                writer.on_ack = lambda: None
            waits = _waits([*zip(sent, (writer.acked_at for writer in writers), strict=True)])
            heard = sum(len(person.heard_at) for person in people)
            print(
                f"{members:>8}{len(waits) / took:>9.0f}{_p(waits, 50)}{_p(waits, 99)}{heard / took:>9.0f}"
                f"{cpu_percent:>11.0f}%{own_percent:>10.0f}%"
            )


def _keep_writing(writer: JsonPerson, sent: dict[str, float]) -> None:
    """A message for each that is acknowledged."""
    writer.on_ack = lambda: sent.update([writer.say()])
    sent.update([writer.say() for _ in range(ON_THEIR_WAY)])


async def ways(seconds: float) -> None:
    """Now and then a message, of one author at a time."""
    print(f"{'':<13}{'members':>8}{'messages':>10}{'p50 ms':>8}{'p99 ms':>8}")
    for members in MEMBERS:
        async with opened_chat() as (server, tokens):
            writer, reader, *_ = await gather(server, tokens, members)
            yjs = await YjsPerson(writer.user_id).join(server.port, tokens, "user-0")
            ways = (
                ("JSON to JSON", writer, reader),
                ("JSON to Yjs", writer, yjs),
                ("Yjs to JSON", yjs, reader),
            )
            for way, author, other in ways:
                await asyncio.sleep(1)  # a pause in which all is told
                sent: dict[str, float] = {}
                for _ in range(round(seconds * _MESSAGES_A_SECOND)):
                    message_id, at = author.say()
                    sent[message_id] = at
                    yjs.awaited.add(message_id)
                    await asyncio.sleep(1 / _MESSAGES_A_SECOND)
                await asyncio.sleep(1)
                waits = _waits([(sent, other.heard_at)])
                assert len(waits) == len(sent), f"{len(sent) - len(waits)} messages did not arrive"
                print(f"{way:<13}{members:>8}{len(waits):>10}{_p(waits, 50)}{_p(waits, 99)}")


async def busy(seconds: float) -> None:
    """Everybody says within a second that the message has come, and within another one that it is read."""
    async with opened_chat() as (server, tokens):
        people = await gather(server, tokens, BUSY_MEMBERS)
        loop, rng = asyncio.get_running_loop(), random.Random(1)
        for person in people:

            def answer(seq: int, person: JsonPerson = person) -> None:
                said = {"room": ROOM, "seq": seq}
                delay_seconds = rng.random()
                loop.call_later(delay_seconds, person.send, "message_delivered", said)
                loop.call_later(delay_seconds + rng.random(), person.send, "message_read", said)

            person.on_message = answer
        await asyncio.sleep(2)  # what joining costs
        before = [(each.person.received_frames, each.person.received_bytes) for each in people]
        cpu, own, began = read_cpu(server.pid), time.process_time(), time.perf_counter()
        sent = dict([people[0].say()])
        while time.perf_counter() - began < seconds:
            await asyncio.sleep(1)
            sent |= dict([people[0].say()])
        await asyncio.sleep(1)
        took = time.perf_counter() - began
        cpu_percent = 100 * read_cpu(server.pid).since(cpu) / took
        own_percent = 100 * (time.process_time() - own) / took
        frames, size = (
            statistics.mean(after - past[part] for past, after in zip(before, now, strict=True)) / took
            for part, now in (
                (0, [each.person.received_frames for each in people]),
                (1, [each.person.received_bytes for each in people]),
            )
        )
        waits = _waits([(sent, people[1].heard_at)])
        print(
            f"{BUSY_MEMBERS} members, {len(sent)} messages in {took:.0f} s, {2 * len(sent) * len(people)} marks"
        )
        print(f"each hears {frames:.1f} events and {size / 1000:.1f} KB a second; to the other side", end="")
        print(f"{_p(waits, 50)} ms (p50){_p(waits, 99)} ms (p99)")
        print(f"server CPU {cpu_percent:.0f} %, bench CPU {own_percent:.0f} %")


def _waits(pairs: Sequence[tuple[dict[str, float], dict[str, float]]]) -> list[float]:
    """In ms, of all that arrived: (message id -> when it was sent, message id -> when it came)."""
    return [1000 * (came[key] - at) for sent, came in pairs for key, at in sent.items() if key in came]


def _p(waits: list[float], percent: float) -> str:
    return f"{percentile(waits, percent):>8.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("acks", "ways", "busy", "all"), nargs="?", default="all")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is measured")
    options = parser.parse_args()
    print(f"load average before: {os.getloadavg()[0]:.1f}")
    for what in ("acks", "ways", "busy") if options.what == "all" else (options.what,):
        print()
        anyio.run({"acks": acks, "ways": ways, "busy": busy}[what], options.seconds)


if __name__ == "__main__":
    main()
