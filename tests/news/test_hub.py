"""News reach those who listen, and nobody else."""

import logging

import pytest

from server.news.hub import Hub, News

NEWS = News("message", {"body": "hi"}, 7, 1000)


def test_listeners_of_a_room_hear_its_news_in_order() -> None:
    hub, heard = Hub(), list[News]()
    hub.subscribe("chat:1", heard.append)
    hub.publish("chat:1", NEWS)
    hub.publish("chat:2", NEWS)
    hub.publish("chat:1", NEWS._replace(seq=2))
    assert [news.seq for news in heard] == [None, 2]


def test_who_is_left_out_hears_nothing() -> None:
    hub, author, other = Hub(), list[News](), list[News]()
    but = author.append
    hub.subscribe("chat:1", but)
    hub.subscribe("chat:1", other.append)
    hub.publish("chat:1", NEWS, but=but)
    assert (author, other) == ([], [NEWS])


def test_ending_a_subscription_twice_leaves_another_of_the_same_listener_alone() -> None:
    hub, heard = Hub(), list[News]()
    listener = heard.append
    end = hub.subscribe("chat:1", listener)
    hub.subscribe("chat:1", listener)
    end()
    end()
    hub.publish("chat:1", NEWS)
    assert heard == [NEWS]


def test_a_listener_may_leave_while_it_is_told() -> None:
    hub, heard = Hub(), list[News]()
    end = hub.subscribe("chat:1", lambda news: end())
    hub.subscribe("chat:1", heard.append)
    hub.publish("chat:1", NEWS)
    assert heard == [NEWS]


def test_a_listener_that_fails_is_logged_and_the_others_hear_the_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(news: News) -> None:
        raise ValueError("broken")

    hub, heard = Hub(), list[News]()
    hub.subscribe_user(7, fail)
    hub.subscribe_user(7, heard.append)
    with caplog.at_level(logging.ERROR):
        hub.publish_to_user(7, NEWS)
        hub.publish_to_user(8, NEWS)
    assert heard == [NEWS]
    assert "broken" in caplog.text
