"""When a job that has failed comes back."""

from server.jobs.backoff import retry_seconds


def seconds(attempts: int, random: float = 0.0) -> float:
    return retry_seconds(attempts, first_seconds=1, longest_seconds=60, random=random)


def test_each_time_it_takes_twice_as_long_up_to_a_limit() -> None:
    assert [seconds(attempts) for attempts in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert seconds(10**6) == 60


def test_chance_takes_away_up_to_half() -> None:
    assert [seconds(3, random) for random in (0, 0.5, 1)] == [4, 3, 2]
    assert seconds(100, 1) == 30
