"""A gain that moves without a click."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.audio.fader import RAMP_MS, Fader

RATE = 16_000
TONE = (10_000 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.int16)


def test_what_is_not_faded_is_left_as_it_is() -> None:
    assert Fader(RATE).apply(TONE) is TONE


def test_it_moves_in_a_short_ramp_and_comes_back() -> None:
    fader = Fader(RATE)
    fader.goal = 0.2
    flat = np.full(480, 10_000, np.int16)
    down = fader.apply(flat)
    assert down[0] < 10_000
    assert set(down[RATE * RAMP_MS // 1000 :].tolist()) == {2000}
    fader.goal = 1.0
    up = fader.apply(flat)
    assert up[0] > 2000
    assert up[-1] == 10_000
    assert fader.apply(TONE) is TONE


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 700)), min_size=1, max_size=20))
def test_no_step_between_two_samples_is_a_click(changes: list[tuple[float, int]]) -> None:
    """However the gain is changed and however the sound is cut into blocks."""
    fader, out = Fader(RATE), [np.zeros(0, np.int16)]
    for goal, samples in changes:
        fader.goal = goal
        out.append(fader.apply(np.full(samples, 16_000, np.int16)))
    steps = np.diff(np.concatenate(out).astype(int))
    assert np.all(np.abs(steps) <= 16_000 / (RATE * RAMP_MS // 1000) + 1)
