"""Times of blocks, whatever a backend says of them."""

import pytest

from pipelines.audio.stamps import captured_at, leaves_at

NOW = 5_000_000_000_000  # ns
MS = 1_000_000
WALL = 1_795_259_379.5  # s, as ALSA's plug-ins count
BLOCK = 20 * MS


@pytest.mark.parametrize(
    ("stream_now", "adc", "age"),
    [
        pytest.param(WALL, WALL - 0.035, 35 * MS, id="wall clock"),
        pytest.param(NOW / 1e9, NOW / 1e9 - 0.035, 35 * MS, id="monotonic clock"),
        pytest.param(3.5, 3.465, 35 * MS, id="a clock of its own"),
        pytest.param(WALL, 0.0, BLOCK, id="no stamp"),
        pytest.param(0.0, 0.0, BLOCK, id="no clock"),
        pytest.param(0.0, WALL, BLOCK, id="a stamp without a clock"),
        pytest.param(WALL, NOW / 1e9, BLOCK, id="two clocks mixed"),
        pytest.param(WALL, WALL - 0.004, BLOCK, id="younger than its own length"),
        pytest.param(WALL, WALL + 0.020, BLOCK, id="from the future"),
        pytest.param(WALL, WALL - 7200, BLOCK, id="the wall clock was set"),
        pytest.param(WALL, WALL - 0.4, 400 * MS, id="fetched late"),
    ],
)
def test_a_block_was_captured_in_the_past(stream_now: float, adc: float, age: int) -> None:
    assert abs(NOW - captured_at(NOW, stream_now, adc, 320, 16_000) - age) < MS


@pytest.mark.parametrize(
    ("stream_now", "dac", "ahead"),
    [
        pytest.param(WALL, WALL + 0.059, 59 * MS, id="wall clock"),
        pytest.param(NOW / 1e9, NOW / 1e9 + 0.059, 59 * MS, id="monotonic clock"),
        pytest.param(WALL, WALL, 0, id="at once"),
        pytest.param(WALL, 0.0, 40 * MS, id="no stamp"),
        pytest.param(0.0, 0.0, 40 * MS, id="no clock"),
        pytest.param(0.0, WALL, 40 * MS, id="a stamp without a clock"),
        pytest.param(WALL, WALL - 1, 40 * MS, id="in the past"),
    ],
)
def test_a_block_leaves_now_or_later(stream_now: float, dac: float, ahead: int) -> None:
    assert abs(leaves_at(NOW, stream_now, dac, 0.04) - NOW - ahead) < MS


def test_a_latency_that_is_nonsense_counts_as_none() -> None:
    assert leaves_at(NOW, 0.0, 0.0, -1.0) == NOW
