"""What is due comes when it is, and once."""

from server.presence.deadlines import Deadlines


def test_the_nearest_of_several_for_one_key_counts() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for at_seconds in (5.0, 3.0, 4.0):
        deadlines.set("a", at_seconds)
    deadlines.set("b", 4.0)
    assert deadlines.next_seconds() == 3.0
    assert deadlines.take(2.9) == []
    assert deadlines.take(4.0) == ["a", "b"]
    assert deadlines.next_seconds() is None
    assert deadlines.take(10.0) == []


def test_a_key_that_was_taken_may_be_set_again() -> None:
    deadlines: Deadlines[int] = Deadlines()
    deadlines.set(1, 1.0)
    assert deadlines.take(1.0) == [1]
    deadlines.set(1, 9.0)
    assert deadlines.take(8.0) == []
    assert deadlines.take(9.0) == [1]
