"""What work ahead may cost, and when it pays."""

from hypothesis import given
from hypothesis import strategies as st

from assistant.core.ahead import STILL, Budget, Chance, Estimate, left_ms, pays

S = 1_000_000_000  # ns


def test_an_estimate_believes_the_first_and_follows_the_rest() -> None:
    one = Estimate(1000.0)
    assert one.value == 1000.0
    one.learn(200.0)
    assert one.value == 200.0
    one.learn(400.0)
    assert 200.0 < one.value < 400.0


def test_a_chance_is_not_settled_by_one_case() -> None:
    one = Chance(STILL)
    one.learn(0.0)
    assert 0.5 < one.value < STILL


@given(st.lists(st.tuples(st.floats(1.0, 5000.0), st.integers(0, 10)), max_size=60), st.floats(0.0, 0.2))
def test_work_for_nothing_keeps_within_its_share(jobs: list[tuple[float, int]], share: float) -> None:
    budget, now, spent = Budget(share, 10_000.0), 0, 0.0
    for ms, pause_s in jobs:
        now += pause_s * S
        if budget.left(now) > 0:
            budget.spend(ms, now)
            spent += ms
    assert spent <= 10_000.0 + share * now / 1e6 + 5000.0  # the last job may be larger than what is left for it


def test_what_was_of_use_costs_nothing() -> None:
    budget = Budget(0.0, 100.0)
    for _ in range(10):
        assert budget.left(S) > 0
        budget.spend(100.0, S)
        budget.give_back(100.0)
    budget.spend(100.0, S)
    assert budget.left(9 * S) == 0


def test_nothing_is_there_before_it_was_saved() -> None:
    budget = Budget(0.02, 2000.0, full=False)
    assert budget.left(0) == 0
    assert budget.left(50 * S) < 2000.0 <= budget.left(100 * S) == budget.left(1000 * S)


def test_a_job_pays_when_it_saves_more_than_it_may_cost() -> None:
    assert pays(left=2000.0, job_ms=2000.0, still=0.8)
    assert pays(left=400.0, job_ms=1500.0, still=0.8)
    assert not pays(left=400.0, job_ms=12_000.0, still=0.8)  # a large picture late in the question
    assert not pays(left=2000.0, job_ms=3000.0, still=0.2)  # a scene that never rests
    assert not pays(left=0.0, job_ms=0.0, still=1.0)


def test_who_speaks_long_goes_on_for_a_while() -> None:
    assert left_ms(0.0, 2500.0) == 2500.0
    assert left_ms(1000.0, 2500.0) == 1500.0
    assert 0 < left_ms(60_000.0, 2500.0) < 1000.0
