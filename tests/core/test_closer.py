"""When a question wants to look closer, at which part, and where that lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.closer import REGIONS, region, window


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("Look closer.", "centre"),
        ("Can you take a closer look at the gauge?", "centre"),
        ("Look at the gauge more closely", ""),
        ("look more closely at the gauge", "centre"),
        ("Zoom in!", "centre"),
        ("Zoom in on the left.", "left"),
        ("zoom in on the left of the picture", "left"),
        ("zoom in on the upper right corner", "top right"),
        ("Look closer at the bottom.", "bottom"),
        ("look closer at the lower left", "bottom left"),
        ("magnify the middle", "centre"),
        ("get a bit closer to it", "centre"),
        ("zoom in, what is left of the ball?", "centre"),
        ("zoom in right now", "centre"),
        ("zoom in: is it on the left or on the right?", "centre"),
        ("看近一点", "centre"),
        ("再看近一点", "centre"),
        ("靠近一点看左边", "left"),
        ("放大一下", "centre"),
        ("放大右上角", "top right"),
        ("请把下面放大", "bottom"),
        ("拉近镜头看上面", "top"),
        ("放大左下角", "bottom left"),
        ("zoom out", ""),
        ("do not zoom in", ""),
        ("别放大", ""),
        ("What is on the left?", ""),
        ("Is the ball closer than the cube?", ""),
        ("左边是什么？", ""),
        ("", ""),
    ],
)
def test_region(question: str, part: str) -> None:
    assert region(question) == part


@pytest.mark.parametrize(
    ("part", "box"),
    [
        ("", (0, 0, 640, 480)),
        ("centre", (160, 120, 480, 360)),
        ("left", (0, 120, 320, 360)),
        ("right", (320, 120, 640, 360)),
        ("top", (160, 0, 480, 240)),
        ("bottom", (160, 240, 480, 480)),
        ("top left", (0, 0, 320, 240)),
        ("bottom right", (320, 240, 640, 480)),
    ],
)
def test_window(part: str, box: tuple[int, int, int, int]) -> None:
    assert window(part, 640, 480) == box


@given(st.sampled_from(REGIONS), st.integers(1, 5000), st.integers(1, 5000), st.floats(0.01, 1.0))
def test_a_window_is_never_empty_and_lies_within(part: str, width: int, height: int, share: float) -> None:
    left, top, right, bottom = window(part, width, height, share)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_a_region_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no region 'middle'; there are: centre, left"):
        window("middle", 10, 10)


@given(st.text())
def test_any_text(question: str) -> None:
    assert region(question) in REGIONS
