"""The test sound is found where it is, and nowhere else."""

import numpy as np
import pytest

from pipelines.audio.chirp import chirp, find

RATE = 16_000


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("noise_db", [-80, -30, -20])
def test_it_is_found_in_noise_to_the_sample(rate: int, noise_db: int) -> None:
    random = np.random.default_rng(5)
    heard = random.normal(0, 32767 * 10 ** (noise_db / 20), 2 * rate)
    heard[12_345 % rate : 12_345 % rate + len(chirp(rate))] += chirp(rate) * 0.2
    found = find(np.clip(heard, -32768, 32767).astype(np.int16), rate)
    assert found is not None
    assert abs(found.at - 12_345 % rate) <= 1


def test_an_echo_does_not_hide_the_first_arrival() -> None:
    heard = np.zeros(2 * RATE)
    for at, gain in ((5_000, 1.0), (5_800, 0.6), (7_000, 0.3)):
        heard[at : at + len(chirp(RATE))] += chirp(RATE) * gain * 0.5
    found = find(heard.astype(np.int16), RATE)
    assert found is not None
    assert found.at == 5_000


@pytest.mark.parametrize("seed", range(20))
def test_it_is_not_found_in_noise_alone(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 3000, 3 * RATE).astype(np.int16)
    assert find(noise, RATE) is None


def test_it_is_not_found_in_silence_or_in_too_little() -> None:
    assert find(np.zeros(2 * RATE, np.int16), RATE) is None
    assert find(chirp(RATE)[:-1], RATE) is None
    assert find(np.zeros(0, np.int16), RATE) is None
