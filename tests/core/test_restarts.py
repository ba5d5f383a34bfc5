"""When a process that died is started again: a table, and what holds for any history of deaths."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.restarts import Restarts


@pytest.mark.parametrize(
    ("deaths", "waits"),
    [
        ([0.0], [0.1]),
        ([0.0, 1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.4, 0.8, 1.6]),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.1, 0.2, 0.4, 0.8, 1.6, None]),  # the sixth within a minute is too much
        ([0.0, 1.0, 2.0, 3.0, 4.0, 61.5], [0.1, 0.2, 0.4, 0.8, 1.6, 0.8]),  # the first two are forgotten
        ([0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0], [0.1] * 7),
    ],
)
def test_waits_double_and_end(deaths: list[float], waits: list[float | None]) -> None:
    restarts = Restarts(limit=5, window_s=60.0)
    assert [restarts.died(now) for now in deaths] == waits


def test_the_wait_has_a_longest() -> None:
    restarts = Restarts(limit=20, longest_s=5.0)
    assert [restarts.died(0.0) for _ in range(9)][-3:] == [5.0, 5.0, 5.0]


def test_no_restarts_means_none() -> None:
    assert Restarts(limit=0).died(0.0) is None


@given(st.lists(st.floats(0.0, 100.0), max_size=60), st.integers(1, 8), st.floats(0.1, 200.0))
def test_at_most_limit_restarts_within_any_window(gaps: list[float], limit: int, window_s: float) -> None:
    restarts = Restarts(limit, window_s)
    deaths = list(itertools.accumulate(gaps))
    restarted: list[float] = []
    for now in deaths:
        wait = restarts.died(now)
        if wait is None:
            assert sum(now - other <= window_s for other in restarted) >= limit
            break
        assert 0.1 <= wait <= 5.0
        restarted.append(now)
    for first in restarted:
        assert sum(first <= other and other - first <= window_s for other in restarted) <= limit
