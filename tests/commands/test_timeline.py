"""The waterfall: waits for the NPU stand in the lane of what waited."""

from collections.abc import Sequence

import cv2
import numpy as np

from assistant.commands import _timeline
from assistant.outcome import Line


def pixels(
    color: tuple[int, int, int], *stages: tuple[str, float, float], parts: Sequence[tuple[str, float]] = ()
) -> int:
    drawn = _timeline.draw([Line(turn=1, step=1, typed=False, stages=list(stages), parts=list(parts))], {})
    canvas = np.asarray(cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_COLOR))
    return int((canvas == color).all(axis=2).sum())


def test_a_wait_is_drawn_before_what_waited_in_its_lane() -> None:
    alone, waited = ("prefill", 500.0, 800.0), ("prefill waits", 200.0, 500.0)
    assert pixels(_timeline.WAITING, alone) == 0
    grey = pixels(_timeline.WAITING, waited, alone)
    own = _timeline.LANES["prefill"][1]
    assert 0.8 < grey / pixels(own, waited, alone) < 1.2  # as long as what waited


def test_the_parts_of_the_silence_are_as_long_as_their_stages() -> None:
    hold, asr = ("endpoint", 0.0, 500.0), ("asr", 500.0, 700.0)
    for name, length, color in (("hold", 500.0, "endpoint"), ("recognition", 200.0, "asr")):
        own = _timeline.LANES[color][1]
        alone = pixels(own, hold, asr)
        both = pixels(own, hold, asr, parts=[("hold", 500.0), ("recognition", 200.0)])
        assert 1.9 < both / alone < 2.1, (name, length)


def test_a_stage_that_is_not_known_is_left_out() -> None:
    blank = _timeline.draw([Line(turn=1, step=1, typed=False)], {})
    assert _timeline.draw([Line(turn=1, step=1, typed=False, stages=[("thinking", 0.0, 500.0)])], {}) == blank
    assert _timeline.draw([Line(turn=1, step=1, typed=False, stages=[("encode ahead", 0.0, 500.0)])], {}) != blank
