"""Whose turn it is: nobody is passed over, nobody is served twice before another once."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.fairness import Fairness


def served(queue: Fairness) -> list[int]:
    """All that wait, in the order in which they come to work one by one."""
    order = []
    while (begun := queue.admit(0.0)) or queue.at_work:
        order += begun
        for ticket in begun:
            queue.leave(ticket, 1.0)
    return order


def test_clients_take_turns() -> None:
    queue = Fairness(limit=10)
    for ticket, client in enumerate("aaabbc"):
        assert queue.enter(ticket, client)
    assert served(queue) == [0, 3, 5, 1, 4, 2]


def test_who_comes_when_there_is_no_room_is_refused() -> None:
    queue = Fairness(limit=2)
    assert [queue.enter(ticket, "a") for ticket in range(4)] == [True, True, True, False]  # one may begin at once
    assert queue.admit(0.0) == [0]
    assert not queue.enter(4, "b")
    queue.leave(1, 0.0)
    assert queue.enter(5, "b")


def test_nobody_may_wait() -> None:
    queue = Fairness(limit=0)
    assert queue.enter(1, "a")
    assert queue.admit(0.0) == [1]
    assert not queue.enter(2, "b")
    queue.leave(1, 1.0)
    assert queue.enter(3, "b")


def test_who_is_gone_is_not_served() -> None:
    queue = Fairness(limit=10)
    for ticket, client in enumerate("aab"):
        queue.enter(ticket, client)
    queue.leave(0, 0.0)
    queue.leave(2, 0.0)
    queue.leave(7, 0.0)  # never was there
    assert served(queue) == [1]


def test_the_time_to_wait_follows_what_requests_take() -> None:
    queue = Fairness(limit=10)
    first = queue.retry_after_s()
    assert first == 1
    for ticket in range(4):
        queue.enter(ticket, "a")
    queue.admit(0.0)
    before = queue.retry_after_s()
    for ticket in range(20):
        queue.leave(ticket, 1000.0)
        queue.enter(ticket + 20, "a")
        queue.admit(0.0)
    assert queue.retry_after_s() > before > first


@pytest.mark.parametrize("at_once", [1, 2, 3])
@given(steps=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5)), max_size=40))
def test_a_position_is_how_many_begin_before(at_once: int, steps: list[tuple[str, int]]) -> None:
    """Whatever came and went before."""
    queue, known, number = Fairness(limit=30, at_once=at_once), deque[int](), 0
    for client, what in steps:
        if what == 0 and known:
            queue.leave(known.popleft(), 0.0)
        elif what == 1:
            queue.admit(0.0)
        elif queue.enter(number, client):
            known.append(number)
            number += 1
    waiting = {ticket: queue.position(ticket) for ticket in known}
    at_work = set(known) - {ticket for ticket in known if ticket in _waits(queue)}
    for ticket in at_work:
        assert waiting[ticket] == 0
        queue.leave(ticket, 0.0)
    order = served(queue)
    assert {ticket: waiting[ticket] for ticket in order} == {ticket: at for at, ticket in enumerate(order)}


def _waits(queue: Fairness) -> set[int]:
    return {ticket for tickets in queue._waiting.values() for ticket in tickets}
