"""The waterfall: waits for the NPU stand in the lane of what waited."""

import cv2
import numpy as np

from assistant.commands import _timeline
from assistant.outcome import Line


def pixels(color: tuple[int, int, int], *stages: tuple[str, float, float]) -> int:
    drawn = _timeline.draw([Line(turn=1, step=1, typed=False, stages=list(stages))], {})
    canvas = np.asarray(cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_COLOR))
    return int((canvas == color).all(axis=2).sum())


def test_a_wait_is_drawn_before_what_waited_in_its_lane() -> None:
    alone, waited = ("prefill", 500.0, 800.0), ("prefill waits", 200.0, 500.0)
    assert pixels(_timeline.WAITING, alone) == 0
    grey = pixels(_timeline.WAITING, waited, alone)
    own = _timeline.LANES["prefill"][1]
    assert 0.8 < grey / pixels(own, waited, alone) < 1.2  # as long as what waited
