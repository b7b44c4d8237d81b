"""What somebody who comes back lacked is told once, and costs the server no more than its own clocks."""

from server.protocol.update_shape import check_state_vector
from server.rooms.unseen import Unseen, write_lacked
from tests.rooms.opened_rooms import Visitor


def test_what_came_between_its_word_and_its_answer_is_lacked_too() -> None:
    state = {1: 5, 2: 3}
    unseen, member = Unseen(lambda: state), Visitor()
    unseen.came(member)
    unseen.declared(member, {1: 5, 2: 1, 9: 4})
    unseen.declared(member, {1: 5, 2: 3})  # what it says later, it says with the answers in hand
    state |= {1: 6, 3: 2, 9: 4}
    known = unseen.answered(member)
    assert known is not None
    assert unseen.lacked(known) == {1: 5, 2: 1, 3: 0}
    assert unseen.answered(member) is None


def test_a_newcomer_lacks_nothing_that_it_should_have_seen() -> None:
    unseen, member = Unseen(lambda: {1: 5}), Visitor()
    unseen.came(member)
    unseen.declared(member, {9: 4})
    assert unseen.answered(member) is None
    unseen.declared(member, {1: 1})
    assert unseen.answered(member) is None


def test_no_more_is_kept_of_what_it_claims_than_the_document_has() -> None:
    unseen, member = Unseen(lambda: {1: 5, 2: 1}), Visitor()
    unseen.came(member)
    unseen.declared(member, {1: 2} | dict.fromkeys(range(10, 10_000), 1))
    assert unseen.answered(member) == {1: 2, 2: 0}


def test_what_was_lacked_is_read_as_it_was_written() -> None:
    lacked = {1: 0, 2**53 - 1: 2**31 - 1}
    assert check_state_vector(write_lacked(lacked)) == lacked
