"""An event that is sent again is not done again."""

import asyncio

from server.events.envelope import ClientEvent, read_event
from server.events.handlers import Answer
from server.events.remembered_answers import RememberedAnswers


def event(event_id: int, body: str = "hi") -> ClientEvent:
    return read_event(
        f'{{"type":"message","id":{event_id},"payload":{{"room":"chat:1","id":"m","body":"{body}"}}}}'
    )


def answer(seq: int) -> "asyncio.Future[Answer]":
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    future.set_result({"seq": seq})
    return future


async def test_the_same_event_of_the_same_user_is_found() -> None:
    answers = RememberedAnswers()
    answers.keep(7, event(1), first := answer(1))
    assert answers.find(7, event(1)) is first
    assert answers.find(8, event(1)) is None
    assert answers.find(7, event(2)) is None


async def test_the_same_id_with_another_content_is_a_new_event() -> None:
    answers = RememberedAnswers()
    answers.keep(7, event(1), answer(1))
    assert answers.find(7, event(1, "something else")) is None


async def test_what_failed_may_be_tried_again() -> None:
    answers = RememberedAnswers()
    pending: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    answers.keep(7, event(1), pending)
    assert answers.find(7, event(1)) is pending
    pending.set_exception(ValueError())
    await asyncio.sleep(0)
    assert answers.find(7, event(1)) is None
    assert len(answers) == 0


async def test_the_oldest_of_a_user_is_forgotten_first() -> None:
    answers = RememberedAnswers(max_per_user=3)
    for number in range(5):
        answers.keep(7, event(number), answer(number))
    assert [answers.find(7, event(number)) is not None for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


async def test_in_all_those_of_the_quietest_user_are_forgotten_first() -> None:
    answers = RememberedAnswers(max_in_all=3)
    answers.keep(7, event(0), answer(0))
    for number in range(3):
        answers.keep(8, event(number), answer(number))
    assert len(answers) == 3
    assert answers.find(7, event(0)) is None
    assert answers.find(8, event(0)) is not None
