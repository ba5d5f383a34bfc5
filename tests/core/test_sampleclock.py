"""Counted time that is led by the blocks' times."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.sampleclock import SampleClock

MS = 1_000_000
FRAME = 30 * MS
START = 7_000 * MS


def run(times: list[int], block: int = 20 * MS) -> list[tuple[int, int, int]]:
    """(begin, length, what it should be) of every frame that blocks with these times give."""
    clock, pending, frames, first, fed = SampleClock(FRAME), 0, list[tuple[int, int, int]](), 0, 0
    for at in times:
        if clock.block(at, block):
            pending, first, fed = 0, at, 0
        pending += block
        while pending >= FRAME:
            pending -= FRAME
            frames.append((*clock.frame(), first + fed))
            fed += FRAME
    return frames


def test_sound_with_exact_times_is_counted_exactly() -> None:
    assert all(at == true and length == FRAME for at, length, true in run([START + n * 20 * MS for n in range(500)]))


@pytest.mark.parametrize("ppm", [-3000, -200, 0, 200, 3000])
def test_a_card_that_runs_fast_or_slow_is_followed_for_hours(ppm: int) -> None:
    jitter = random.Random(3)
    blocks = 50 * 600  # ten minutes
    step = 20 * MS * (1_000_000 + ppm) // 1_000_000
    times = [START + n * step + jitter.randrange(-4, 5) * MS for n in range(blocks)]
    frames = run(times)
    assert len(frames) == blocks * 2 // 3
    for number, (at, _, _) in enumerate(frames):
        assert abs(at - (START + number * step * 3 // 2)) < 15 * MS


def test_lost_sound_is_a_gap() -> None:
    times = [START + n * 20 * MS for n in range(30)] + [START + 900 * MS + n * 20 * MS for n in range(30)]
    begins = [at for at, _, _ in run(times)]
    assert START + 900 * MS in begins
    assert not [at for at in begins if START + 600 * MS <= at < START + 900 * MS]


def test_times_that_go_back_do_not_lose_sound() -> None:
    times = [START + n * 20 * MS for n in range(60)] + [START + n * 20 * MS for n in range(60)]
    assert len(run(times)) == 120 * 2 // 3


@given(st.lists(st.integers(-300, 2000), min_size=1, max_size=200))
def test_frames_never_overlap_whatever_the_times(steps_ms: list[int]) -> None:
    at, times = START, []
    for step in steps_ms:
        at += step * MS
        times.append(at)
    frames = run(times)
    assert all(length > 0 for _, length, _ in frames)
    for (begin, length, _), (later, _, _) in itertools.pairwise(frames):
        assert begin + length <= later
