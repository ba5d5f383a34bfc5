"""Volumes: steps as they are heard."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.loudness import FULL, LEAST, STEP, gain, limited, stepped

volumes = st.floats(LEAST, FULL)


def test_half_the_volume_is_ten_decibels_less() -> None:
    assert gain(1.0) == 1.0
    assert 20 * math.log10(gain(0.5)) == pytest.approx(-10, abs=0.1)
    assert 20 * math.log10(gain(0.25)) == pytest.approx(-20, abs=0.1)


def test_steps_end_before_silence_and_at_full() -> None:
    volume = 1.0
    for _ in range(20):
        volume = stepped(volume, -1)
    assert volume == LEAST
    assert gain(volume) > 0.01
    for _ in range(20):
        volume = stepped(volume, 1)
    assert volume == FULL


@given(volumes, st.sampled_from([-1, 1]))
def test_a_step_is_on_the_grid_and_in_its_direction(volume: float, step: int) -> None:
    after = stepped(volume, step)
    assert after / STEP == pytest.approx(round(after / STEP))
    assert (after - volume) * step > 0 or after in (LEAST, FULL)
    assert abs(after - volume) < 1.51 * STEP


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(-(2**63), 2**63 - 1))
def test_whatever_is_asked_for_can_be_heard(volume: float, step: int) -> None:
    assert LEAST <= limited(volume) <= FULL
    assert LEAST <= stepped(0.5, step) <= FULL
    assert 0.0 < gain(limited(volume)) <= 1.0
