"""What a socket says, in front of a transport that writes down what it is given when."""

import asyncio
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from server.transport.outbox import SLICE_BYTES, Outbox, Slices

TURN_BYTES = 2**20
LARGE = bytes(range(256)) * 1200  # 300 KB: nine slices and a rest


class RecordingTransport(asyncio.Transport):
    """A kernel that takes all it is given, or as much as `room_bytes`; what it does not take is buffered."""

    def __init__(self, room_bytes: float = float("inf")) -> None:
        super().__init__()
        self.room_bytes = room_bytes
        self.writes: list[bytes] = []
        self.limits: tuple[int | None, int | None] | None = None
        self.closing = False
        self._buffered_bytes = 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = high, low

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self._buffered_bytes

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        taken = int(min(self.room_bytes, len(data)))
        self.room_bytes -= taken
        self._buffered_bytes += len(data) - taken

    def drain(self, outbox: Outbox, room_bytes: float = float("inf")) -> None:
        """The peer has read all: the outbox hears of it, as from a protocol's `resume_writing`."""
        assert self._buffered_bytes, "asyncio tells only who had been told to pause"
        self._buffered_bytes = 0
        self.room_bytes = room_bytes
        outbox.drained()

    @property
    def said(self) -> bytes:
        return b"".join(self.writes)


@dataclass(eq=False)
class Said:
    """An outbox, its transport, and how often it said that it is empty."""

    slices: Slices = field(default_factory=Slices)
    transport: RecordingTransport = field(default_factory=RecordingTransport)
    emptied: int = 0

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.transport, self.slices, self._on_empty)

    def _on_empty(self) -> None:
        assert not self.outbox.buffered_bytes
        self.emptied += 1


async def turn() -> None:
    """One turn of the event loop."""
    await asyncio.sleep(0)


async def turns_until(holds: Callable[[], bool]) -> int:
    """How many it takes."""
    for count in range(10_000):
        if holds():
            return count
        await turn()
    pytest.fail("it never came to be")


async def some_turns() -> None:
    """More than anything that is still to be said could take."""
    for _ in range(50):
        await turn()


async def test_what_one_turn_says_leaves_in_one_write() -> None:
    said = Said()
    for word in (b"one ", b"two ", b"three"):
        said.outbox.add(word)
    assert said.transport.writes == []
    await turn()
    assert said.transport.writes == [b"one two three"]
    said.outbox.add(b"four")
    await turn()
    assert said.transport.writes == [b"one two three", b"four"]


async def test_what_is_urgent_leaves_at_once_but_never_before_what_was_said_first() -> None:
    said = Said()
    assert said.outbox.add_now(b"at once") == 0
    assert said.transport.writes == [b"at once"]
    said.outbox.add(b"first ")
    assert said.outbox.add_now(b"second") == len(b"first second")
    await turn()
    assert said.transport.writes == [b"at once", b"first second"]


async def test_a_small_message_is_told_how_much_is_unread() -> None:
    said = Said(transport=RecordingTransport(4))
    assert said.outbox.add_now(b"123456") == 2
    assert said.outbox.add_now(b"7890") == 6


@pytest.mark.parametrize("size", [SLICE_BYTES, SLICE_BYTES + 1, 10 * SLICE_BYTES, len(LARGE)])
async def test_a_large_message_leaves_whole_in_slices(size: int) -> None:
    said, message = Said(), (LARGE * 2)[:size]
    said.outbox.add_now(message)
    await turns_until(lambda: len(said.transport.said) >= size)
    assert said.transport.said == message
    assert len(said.transport.writes) == -(-size // SLICE_BYTES)
    assert max(map(len, said.transport.writes)) <= SLICE_BYTES


async def test_one_turn_writes_one_slice() -> None:
    said = Said()
    said.outbox.add_now(LARGE)
    while len(said.transport.said) < len(LARGE):
        before = len(said.transport.writes)
        await turn()
        assert len(said.transport.writes) <= before + 1


async def test_the_order_stays_whatever_leaves_how() -> None:
    said = Said()
    words = [b"before ", LARGE, b" behind it ", LARGE[:40_000], b" last"]
    said.outbox.add(words[0])
    said.outbox.add_now(words[1])
    said.outbox.add(words[2])
    for _ in range(4):  # the first is on its way
        await turn()
    assert b"before " in said.transport.said
    said.outbox.add_now(words[3])
    await turn()
    said.outbox.add_now(words[4])
    await some_turns()
    assert said.transport.said == b"".join(words)
    assert max(map(len, said.transport.writes)) <= SLICE_BYTES


async def test_small_messages_wait_behind_a_large_one() -> None:
    said = Said()
    said.outbox.add_now(LARGE)
    await turn()
    for word in (b"a", b"b", b"c"):
        assert said.outbox.add_now(word) > 0
        await turn()
    await some_turns()
    assert said.transport.said == LARGE + b"abc"


async def test_many_small_messages_of_one_turn_that_are_large_together_leave_in_slices() -> None:
    said = Said()
    for _ in range(100):
        said.outbox.add(bytes(1000))
    await some_turns()
    assert len(said.transport.said) == 100_000
    assert max(map(len, said.transport.writes)) <= SLICE_BYTES


async def test_many_large_messages_take_turns() -> None:
    slices = Slices()
    everybody = [Said(slices) for _ in range(100)]
    for said in everybody:
        said.outbox.add_now(LARGE)
    longest = 0
    while any(len(said.transport.said) < len(LARGE) for said in everybody):
        before = [len(said.transport.said) for said in everybody]
        await turn()
        progress = [len(said.transport.said) for said in everybody]
        written = [now - then for now, then in zip(progress, before, strict=True)]
        assert sum(written) <= TURN_BYTES
        assert max(written) <= SLICE_BYTES
        assert max(progress) - min(progress) <= SLICE_BYTES, "nobody is served twice before all were once"
        longest = max(longest, sum(written))
    assert longest > TURN_BYTES - SLICE_BYTES, "a turn's share is used"
    assert all(said.transport.said == LARGE for said in everybody)


async def test_who_comes_later_is_not_kept_waiting_by_who_has_more() -> None:
    slices = Slices()
    long, short = Said(slices), Said(slices)
    long.outbox.add_now(LARGE * 10)
    await some_turns()
    assert long.outbox.buffered_bytes
    short.outbox.add_now(bytes(SLICE_BYTES + 1))
    assert await turns_until(lambda: len(short.transport.said) > SLICE_BYTES) <= 4


async def test_while_a_peer_does_not_read_nothing_more_is_written() -> None:
    said = Said(transport=RecordingTransport(SLICE_BYTES + 10))
    said.outbox.add_now(LARGE)
    await some_turns()
    assert len(said.transport.writes) == 2
    assert said.transport.get_write_buffer_size() == SLICE_BYTES - 10
    said.outbox.add_now(b"later")
    await some_turns()
    assert len(said.transport.writes) == 2
    said.transport.drain(said.outbox, SLICE_BYTES + 10)
    await some_turns()
    assert len(said.transport.writes) == 4
    said.transport.drain(said.outbox)
    await some_turns()
    assert said.transport.said == LARGE + b"later"


async def test_a_large_message_waits_for_what_is_unread() -> None:
    said = Said(transport=RecordingTransport(0))
    said.outbox.add_now(b"unread")
    said.outbox.add_now(LARGE)
    await some_turns()
    assert said.transport.writes == [b"unread"]
    said.transport.drain(said.outbox)
    await some_turns()
    assert said.transport.said == b"unread" + LARGE


async def test_one_that_does_not_read_holds_up_nobody_else() -> None:
    slices = Slices()
    deaf = [Said(slices, RecordingTransport(0)) for _ in range(40)]
    other = Said(slices)
    for said in (*deaf, other):
        said.outbox.add_now(LARGE)
    assert await turns_until(lambda: other.transport.said == LARGE) <= 3 + -(-len(LARGE) // SLICE_BYTES)
    assert {len(said.transport.writes) for said in deaf} == {1}


async def test_everything_that_is_not_with_the_kernel_counts() -> None:
    said = Said(transport=RecordingTransport(SLICE_BYTES + 10))
    said.outbox.add(b"gathered")
    assert said.outbox.buffered_bytes == 8
    assert said.outbox.add_now(LARGE) == 8 + len(LARGE)
    await turn()
    taken = 0
    while said.outbox.buffered_bytes != 8 + len(LARGE) - SLICE_BYTES - 10:
        assert said.outbox.buffered_bytes == 8 + len(LARGE) - taken
        taken += SLICE_BYTES
        await turn()
    said.outbox.add(b"more")
    assert said.outbox.buffered_bytes == 8 + len(LARGE) + 4 - SLICE_BYTES - 10
    await turn()
    assert said.outbox.buffered_bytes == 8 + len(LARGE) + 4 - SLICE_BYTES - 10


async def test_it_says_once_that_all_has_left() -> None:
    said = Said()
    said.outbox.add_now(LARGE)
    said.outbox.add(b"and this")
    await turns_until(lambda: len(said.transport.said) == len(LARGE) + 8)
    await some_turns()
    assert said.emptied == 1


async def test_it_does_not_say_so_before_the_kernel_has_the_last_byte() -> None:
    said = Said(transport=RecordingTransport(len(LARGE) - 1))
    said.outbox.add_now(LARGE)
    await some_turns()
    assert (len(said.transport.said), said.emptied) == (len(LARGE), 0)
    said.transport.drain(said.outbox)
    await some_turns()
    assert said.emptied == 1


async def test_it_does_not_say_so_while_there_is_more() -> None:
    said = Said(transport=RecordingTransport(SLICE_BYTES - 1))
    said.outbox.add_now(LARGE)
    await some_turns()
    while said.transport.get_write_buffer_size():
        assert said.emptied == 0
        said.transport.drain(said.outbox, SLICE_BYTES - 1)
        await some_turns()
    assert said.transport.said == LARGE
    assert said.emptied == 1


async def test_the_last_words_are_given_away_at_once() -> None:
    said = Said(transport=RecordingTransport(10))
    said.outbox.add_now(LARGE)
    await some_turns()
    said.outbox.add(b"bye")
    said.outbox.flush()
    assert said.transport.said == LARGE + b"bye"
    assert said.outbox.buffered_bytes == said.transport.get_write_buffer_size() == len(LARGE) + 3 - 10
    await some_turns()
    assert said.transport.said == LARGE + b"bye", "nothing twice"


async def test_what_is_on_its_way_in_turns_is_not_said_again_after_a_flush() -> None:
    said = Said()
    said.outbox.add_now(LARGE)
    await turn()
    await turn()
    said.outbox.flush()
    said.outbox.add(b" one word more")
    await some_turns()
    assert said.transport.said == LARGE + b" one word more"


async def test_nothing_is_left_when_the_transport_is_gone() -> None:
    slices = Slices()
    said, other = Said(slices), Said(slices)
    for outbox in (said.outbox, other.outbox):
        outbox.add_now(LARGE)
    await turn()
    await turn()
    said.outbox.add(b"gathered")
    written = len(said.transport.said)
    said.outbox.clear()
    assert said.outbox.buffered_bytes == 0
    await some_turns()
    said.outbox.drained()
    assert len(said.transport.said) == written
    assert said.emptied == 0
    assert other.transport.said == LARGE
    assert other.emptied == 1


async def test_an_outbox_that_is_cleared_keeps_nobody_alive() -> None:
    said = Said()
    outbox, gone = said.outbox, weakref.ref(said)
    outbox.clear()
    del said
    assert gone() is None


async def test_nothing_is_written_to_a_transport_that_closes() -> None:
    said = Said()
    said.outbox.add_now(LARGE)
    said.transport.closing = True
    assert Said(transport=said.transport).outbox.add_now(b"x") == 0
    await some_turns()
    assert said.transport.writes == []
    said.outbox.flush()
    assert said.transport.writes == []


async def test_it_asks_to_hear_of_an_empty_buffer() -> None:
    assert Said().transport.limits == (0, 0)


async def test_all_has_left_though_something_was_being_said_when_it_drained() -> None:
    said = Said(transport=RecordingTransport(0))
    said.outbox.add_now(LARGE[:100])
    said.outbox.add(b"a pong")
    said.transport.drain(said.outbox)
    await some_turns()
    assert said.outbox.buffered_bytes == 0
    assert said.emptied == 1


async def test_all_has_left_though_something_small_was_said_behind_the_last_slice() -> None:
    said = Said()
    said.outbox.add_now(LARGE)
    await turns_until(lambda: len(said.transport.said) == len(LARGE))
    said.outbox.add(b"a pong")
    await some_turns()
    assert said.emptied == 1


async def test_it_says_so_too_if_what_was_gathered_left_whole() -> None:
    said = Said()
    said.outbox.add(bytes(1000))
    assert said.outbox.add_now(bytes(1000)) == 2000
    await some_turns()
    assert said.emptied == 1


async def test_one_slice_a_turn_though_one_follows_another() -> None:
    said = Said()
    said.outbox.add_now(LARGE)
    await turns_until(lambda: said.outbox.buffered_bytes <= SLICE_BYTES)
    said.outbox.add_now(LARGE)
    while len(said.transport.said) < 2 * len(LARGE):
        before = len(said.transport.writes)
        await turn()
        assert len(said.transport.writes) <= before + 1
