"""Long sound is cut in its pauses."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from assistant.core.cuts import LONGEST_S, SHORTEST_S, cuts

STEP_S = 0.1


def test_it_is_cut_in_the_pause() -> None:
    levels = [9.0] * 300
    levels[90:95] = [1.0] * 5
    levels[120] = 0.0  # shorter than a pause
    levels[200:206] = [2.0] * 6
    found = cuts(levels, STEP_S)
    assert 90 < found[0] < 95
    assert 200 < found[1] < 206
    assert len(found) == 2


def test_what_is_short_is_not_cut() -> None:
    assert cuts([1.0] * 140, STEP_S) == []
    assert cuts([], STEP_S) == []


@given(st.lists(st.floats(0, 100), max_size=900))
def test_every_piece_has_a_length_that_can_be_listened_to(levels: list[float]) -> None:
    edges = [0, *cuts(levels, STEP_S), len(levels)]
    lengths = [after - before for before, after in pairwise(edges)]
    assert all(length * STEP_S <= LONGEST_S + 1e-6 for length in lengths)
    assert all(length * STEP_S >= SHORTEST_S - 1e-6 for length in lengths[:-1])
