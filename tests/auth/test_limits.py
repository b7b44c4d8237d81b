"""A bucket lets through what its rate and its burst allow, whatever the clock does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.limits import TokenBucket


def test_a_burst_is_there_at_once_and_no_more() -> None:
    bucket = TokenBucket(10, 5)
    assert [bucket.spend(1, 100.0) for _ in range(5)] == [0.0] * 5
    assert bucket.spend(1, 100.0) == pytest.approx(0.1)


def test_what_is_owed_has_to_be_waited_for() -> None:
    bucket = TokenBucket(10, 5)
    assert bucket.spend(25, 0.0) == pytest.approx(2.0)
    assert bucket.spend(0, 1.0) == pytest.approx(1.0)
    assert bucket.spend(0, 2.0) == 0.0
    assert bucket.spend(1, 2.0) == pytest.approx(0.1)


def test_a_rest_gives_no_more_than_a_burst() -> None:
    bucket = TokenBucket(10, 5)
    assert bucket.spend(5, 0.0) == 0.0
    assert bucket.spend(5, 1e9) == 0.0
    assert bucket.spend(1, 1e9) > 0


def test_a_clock_that_is_set_back_neither_gives_nor_takes() -> None:
    bucket = TokenBucket(10, 5)
    assert bucket.spend(5, 1000.0) == 0.0
    assert bucket.spend(1, 0.0) == pytest.approx(0.1)
    assert bucket.spend(0, 0.1) == 0.0
    assert bucket.spend(1, 0.1) == pytest.approx(0.1)


@given(
    rate=st.floats(0.1, 1000),
    burst=st.floats(1, 1000),
    steps=st.lists(st.tuples(st.floats(-10, 10), st.floats(0, 100)), max_size=50),
)
def test_over_any_time_no_more_passes_than_rate_and_burst_allow(
    rate: float, burst: float, steps: list[tuple[float, float]]
) -> None:
    bucket = TokenBucket(rate, burst)
    now, forward_seconds, taken = 0.0, 0.0, 0.0
    for step_seconds, amount in steps:
        now += step_seconds
        forward_seconds += max(0.0, step_seconds)
        taken += amount
        wait_seconds = bucket.spend(amount, now)
        assert wait_seconds >= (taken - burst) / rate - forward_seconds - 1e-6
        assert wait_seconds <= taken / rate + 1e-6


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1), (1, -1), (float("nan"), 1)])
def test_a_bucket_that_never_fills_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        TokenBucket(rate, burst)
