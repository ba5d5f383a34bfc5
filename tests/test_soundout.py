"""The output without a device keeps the time that a device would."""

import numpy as np

from assistant.soundout import BusOutput

RATE, BLOCK = 16_000, 320
MS = 1_000_000


class Clock:
    now = 5_000 * MS

    def __call__(self) -> int:
        return self.now


def block() -> np.ndarray:
    return np.ones(BLOCK, np.int16)


def test_one_block_is_taken_when_the_one_before_is_over() -> None:
    clock = Clock()
    output = BusOutput(RATE, BLOCK, clock)
    for _ in range(3):
        assert output.room == BLOCK
        output.put(block())
        assert output.room == 0
        assert output.wait_s() == 0.02
        clock.now += 20 * MS
    assert [output.leaves_at(position) for position in (0, 320, 640)] == [5_000 * MS, 5_020 * MS, 5_040 * MS]
    assert output.left(clock.now) == 960


def test_who_is_late_catches_up_and_nothing_drifts() -> None:
    clock = Clock()
    output = BusOutput(RATE, BLOCK, clock)
    output.put(block())
    clock.now += 70 * MS
    for _ in range(3):
        assert output.room
        output.put(block())
    assert not output.room
    assert output.leaves_at(960) == 5_060 * MS


def test_after_a_pause_it_begins_when_something_comes() -> None:
    clock = Clock()
    output = BusOutput(RATE, BLOCK, clock)
    output.put(block())
    output.drain()
    clock.now += 500 * MS
    output.put(block())
    assert output.leaves_at(BLOCK) == 5_500 * MS


def test_what_comes_before_the_last_block_is_over_follows_without_a_gap() -> None:
    clock = Clock()
    output = BusOutput(RATE, BLOCK, clock)
    output.put(block())
    output.drain()
    clock.now += 5 * MS
    output.put(block())
    assert output.leaves_at(BLOCK) == 5_020 * MS


def test_stopped_it_is_silent_at_once_and_begins_anew() -> None:
    clock = Clock()
    output = BusOutput(RATE, BLOCK, clock)
    output.put(block())
    clock.now += 10 * MS
    assert output.left(clock.now) == 161
    output.stop()
    assert output.room == BLOCK
    assert output.left(clock.now + 1_000 * MS) == 0
    output.put(block())
    assert output.leaves_at(0) == clock.now
