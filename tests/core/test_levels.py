"""Levels in bands, and whether there is a voice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.core.levels import BANDS, MS, SILENCE, STEP_MS, Meter, voicing

RATE = 16_000
RANDOM = np.random.default_rng(3)
NOISE = (RANDOM.standard_normal(RATE) * 2000).astype(np.int16)


def tone(pitch: float, rate: int = RATE, amplitude: float = 3277.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * pitch * np.arange(rate // 2) / rate)).astype(np.int16)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize(("pitch", "band"), [(400.0, 0), (1200.0, 1), (3000.0, 2)])
def test_a_tone_is_as_loud_as_it_is_and_in_its_band(rate: int, pitch: float, band: int) -> None:
    _, levels = Meter(rate).feed(0, tone(pitch, rate))
    assert levels.shape[1] == len(BANDS)
    assert np.allclose(levels[:, band], -23.0, atol=0.5)  # a tenth of full scale: -20 dB, and a sine
    assert np.all(np.delete(levels, band, axis=1) < -40)


def test_silence_and_hum_are_silent() -> None:
    assert np.all(Meter(RATE).feed(0, np.zeros(RATE, np.int16))[1] == SILENCE)
    assert np.all(Meter(RATE).feed(0, tone(50))[1] < -45)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=30))
def test_however_the_sound_is_cut_its_levels_and_their_times_are_the_same(cuts: list[int]) -> None:
    whole_at, whole = Meter(RATE).feed(5 * MS, NOISE)
    meter, at, rows = Meter(RATE), 0, list[tuple[int, np.ndarray]]()
    for cut in [*cuts, RATE]:
        part = NOISE[at : at + cut]
        first, levels = meter.feed(5 * MS + at * 1_000_000_000 // RATE, part)
        rows += [(first + number * STEP_MS * MS, row) for number, row in enumerate(levels)]
        at += len(part)
    assert len(rows) == len(whole)
    for number, (time, row) in enumerate(rows):
        assert abs(time - whole_at - number * STEP_MS * MS) < MS
        assert np.allclose(row, whole[number])


def test_where_sound_is_missing_it_begins_anew() -> None:
    meter = Meter(RATE)
    meter.feed(0, NOISE[:400])
    first, levels = meter.feed(1_000 * MS, NOISE[:480])
    assert (first, len(levels)) == (1_005 * MS, 2)


def test_a_vowel_is_voiced_and_air_is_not() -> None:
    vowel = (3000 * np.mod(np.arange(512) * 120 / RATE, 1.0)).astype(np.int16)
    assert voicing(vowel, RATE) > 0.8
    assert np.mean([voicing(NOISE[at : at + 512], RATE) for at in range(0, 8192, 512)]) < 0.35
    assert voicing(np.zeros(512, np.int16), RATE) == 0.0
