"""Word of typing is rare, never stuck, and ends by itself."""

import random
from itertools import pairwise

from server.presence.typing_rule import INTERVAL_SECONDS, TYPING_SECONDS, TypingRule


def run(keys: dict[float, bool], until: float = 60.0) -> list[tuple[float, bool]]:
    """What others are told, and when, if these keys (True: pressed, False: done) come at these times."""
    rule, told, now = TypingRule(), list[tuple[float, bool]](), 0.0
    times = sorted(keys)
    while True:
        due = rule.due_seconds(now)
        next_key = times[0] if times else until
        now = next_key if due is None else min(next_key, now + due)
        if times and now == times[0]:
            rule.until(now + TYPING_SECONDS if keys[times.pop(0)] else float("-inf"))
        elif now >= until:
            return told
        if (word := rule.take(now)) is not None:
            told.append((now, word))


def test_many_keys_are_told_once_and_the_end_when_it_is_said() -> None:
    keys = {tenth / 10: True for tenth in range(50)} | {5.0: False}
    assert run(keys) == [(0.0, True), (5.0, False)]


def test_typing_ends_by_itself() -> None:
    assert run({1.0: True, 4.0: True}) == [(1.0, True), (4.0 + TYPING_SECONDS, False)]


def test_a_quick_end_is_told_after_the_interval() -> None:
    assert run({1.0: True, 1.5: False}) == [(1.0, True), (1.0 + INTERVAL_SECONDS, False)]


def test_going_on_after_a_quick_end_is_no_news() -> None:
    assert run({1.0: True, 1.5: False, 2.0: True, 8.5: False}) == [(1.0, True), (8.0, False)]


def test_whatever_is_typed_word_comes_at_most_every_interval_and_the_last_one_is_true() -> None:
    dice = random.Random(5)
    for _ in range(200):
        keys = {dice.uniform(0, 40): dice.random() < 0.6 for _ in range(dice.randrange(60))}
        told = run(keys)
        assert all(b[0] - a[0] >= INTERVAL_SECONDS - 1e-9 for a, b in pairwise(told))
        assert all(a[1] != b[1] for a, b in pairwise(told))
        assert not told or told[-1][1] is False
