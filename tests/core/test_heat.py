"""When it is too hot: at the limit, until well below it; what is not known is not hot."""

from hypothesis import given
from hypothesis import strategies as st

from assistant.core.heat import COOLED_C, hot

CELSIUS = st.none() | st.floats(-40, 150)


def test_it_stays_hot_until_it_is_well_below_the_limit() -> None:
    was, told = False, []
    for celsius in (79.9, 80.0, 78.0, 75.1, 75.0, 79.9, 90.0, None, 79.0):
        was = hot(was, celsius, 80.0)
        told.append(was)
    assert told == [False, True, True, True, False, False, True, False, False]


@given(st.booleans(), CELSIUS, st.floats(0, 120))
def test_history_counts_only_between_the_two_limits(was: bool, celsius: float | None, limit: float) -> None:
    now = hot(was, celsius, limit)
    if celsius is None or celsius <= limit - COOLED_C:
        assert not now
    elif celsius >= limit:
        assert now
    else:
        assert now == was
