"""What moved leaves part by part, at a pace, each user's latest once; in virtual time."""

import random
from collections.abc import Sequence

import pytest

from crdt_store.receipts import Moved, Receipt
from server.chat.trickle import MAX_AT_ONCE, Trickle
from tests.chat.virtual_clock import Clock, clock

__all__ = ["clock"]

CHAT = 7


def moved(user_id: int, before: int, after: int, chat_id: int = CHAT) -> Moved:
    return Moved(Receipt(chat_id, user_id, before, before, 0), Receipt(chat_id, user_id, after, after, 0))


def test_the_first_leaves_at_once_and_what_follows_after_as_long_as_it_costs(clock: Clock) -> None:
    left: list[tuple[float, int]] = []
    trickle = Trickle(
        lambda _, some: left.append((clock.now_seconds, len(some))), delay_seconds=0, seconds_each=0.25
    )
    trickle.add([moved(1, 0, 1), moved(2, 0, 1)])
    clock.run(0.1)
    trickle.add([moved(1, 1, 2)])
    clock.run(10)
    assert left == [(0.0, 2), (0.5, 1)]
    assert clock.is_idle


def test_who_moves_while_waiting_is_let_go_of_once(clock: Clock) -> None:
    left: list[Moved] = []
    trickle = Trickle(lambda _, some: left.extend(some), delay_seconds=1, seconds_each=0)
    for seq in range(5):
        trickle.add([moved(1, seq, seq + 1), moved(1, seq, seq + 1, chat_id=8)])
    clock.run(2)
    assert left == [moved(1, 0, 5), moved(1, 0, 5, chat_id=8)]
    assert clock.is_idle


@pytest.mark.parametrize("seed", range(5))
def test_however_many_move_the_pace_is_kept_and_all_get_their_turn(clock: Clock, seed: int) -> None:
    rng = random.Random(seed)
    left: list[tuple[float, Sequence[Moved]]] = []
    trickle = Trickle(
        lambda _, some: left.append((clock.now_seconds, some)), delay_seconds=0.5, seconds_each=0.01
    )
    ends = dict.fromkeys(range(500), 0)
    for second in range(20):
        for user_id in rng.sample(range(500), 400):
            trickle.add([moved(user_id, ends[user_id], ends[user_id] + 1)])
            ends[user_id] += 1
        clock.run(second + 1)
    assert sum(len(some) for _, some in left) <= 20 * 100
    assert max(len(some) for _, some in left) <= MAX_AT_ONCE
    clock.run(60)
    assert clock.is_idle
    told: dict[int, int] = {}
    for _, some in left:
        for before, after in some:
            assert before.read_seq == told.get(before.user_id, 0)
            told[after.user_id] = after.read_seq
    assert told == ends
