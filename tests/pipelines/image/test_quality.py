"""What is refused as a picture, and what is not: on the toy world's scenes, as a camera might see them."""

from collections.abc import Callable
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.pico.scene import picture
from pipelines.image.quality import Fault, Limits, fault

Pixels = NDArray[Any]  # levels 0 … 255, as floats
SCENES = [picture("scene", seed)[0] for seed in range(6)]
RNG = np.random.default_rng(7)


def seen(scene: NDArray[np.uint8], through: Callable[[Pixels], Pixels], noise: float = 3.0) -> NDArray[np.uint8]:
    levels = through(scene.astype(np.float64))
    return np.clip(levels + RNG.normal(0, noise, levels.shape), 0, 255).astype(np.uint8)


def defocus(sigma: float) -> Callable[[Pixels], Pixels]:
    return lambda levels: cv2.GaussianBlur(levels, (0, 0), sigma)


def moved(pixels: int, down: bool = False) -> Callable[[Pixels], Pixels]:
    way = np.zeros((pixels, pixels))
    way[pixels // 2] = 1 / pixels
    return lambda levels: cv2.filter2D(levels, -1, way.T if down else way)


def fog(thickness: float) -> Callable[[Pixels], Pixels]:
    return lambda levels: levels * (1 - thickness) + 200 * thickness


def light(gain: float, more: float = 0.0) -> Callable[[Pixels], Pixels]:
    return lambda levels: levels * gain + more


def night_with_a_lamp(levels: Pixels) -> Pixels:
    dark = levels * 0.06
    cv2.circle(dark, (500, 100), 14, (255, 230, 180), -1)
    blurred: Pixels = cv2.GaussianBlur(dark, (0, 0), 1.5)
    return blurred


def hand(levels: Pixels) -> Pixels:
    """Close before the lens: skin, out of focus, with light from a side."""
    y, x = np.mgrid[0 : levels.shape[0], 0 : levels.shape[1]] / levels.shape[1]
    skin = np.stack([150 + 50 * x - 30 * y, 60 + 30 * x, 50 + 20 * y], 2) + 8 * np.sin(9 * x)[..., None]
    blurred: Pixels = cv2.GaussianBlur(skin, (0, 0), 9)
    return blurred


def half_a_hand(levels: Pixels) -> Pixels:
    both: Pixels = levels.copy()
    both[:, : levels.shape[1] // 2] = hand(levels)[:, : levels.shape[1] // 2]
    return both


@pytest.mark.parametrize(
    ("through", "expected"),
    [
        (light(1.0), None),
        (defocus(1.0), None),
        (defocus(3.0), None),
        (moved(9), None),
        (fog(0.6), None),
        (fog(0.85), None),
        (light(0.25), None),
        (light(1.5), None),
        (night_with_a_lamp, None),
        (half_a_hand, None),
        (defocus(9.0), "blurred"),
        (defocus(14.0), "blurred"),
        (hand, "covered"),
        (fog(0.98), "covered"),
        (light(0.05), "dark"),
        (light(0.0), "dark"),
        (light(5.0, 120.0), "overexposed"),
    ],
)
def test_scenes(through: Callable[[Pixels], Pixels], expected: Fault | None) -> None:
    assert [fault(seen(scene, through)) for scene in SCENES] == [expected] * len(SCENES)


@pytest.mark.parametrize("down", [False, True])
def test_a_camera_that_moves(down: bool) -> None:
    """Along its way alone edges are lost: that is harder to tell."""
    assert [fault(seen(scene, moved(61, down))) for scene in SCENES].count("blurred") >= 5


@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (1920, 1080)])
def test_the_size_does_not_matter(size: tuple[int, int]) -> None:
    for through, expected in ((light(1.0), None), (defocus(12.0), "blurred"), (hand, "covered")):
        shown = seen(SCENES[0], through)
        assert fault(np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), np.uint8)) == expected


def test_what_is_no_scene_is_still_a_picture() -> None:
    """Noise and things that are not the toy world are the model's to judge; a blank one nobody could judge."""
    noise = [RNG.integers(0, 256, (480, 640, 3), dtype=np.uint8), picture("noise", 3)[0]]
    assert [fault(one) for one in noise] == [None, None]
    for level, expected in ((0, "dark"), (128, "covered"), (255, "overexposed")):
        assert fault(np.full((480, 640, 3), level, np.uint8)) == expected


def test_paper_and_walls_pass() -> None:
    page = np.full((480, 640, 3), 252, np.uint8)
    for y in range(40, 460, 30):
        cv2.putText(page, "The quick brown fox jumps over", (20, y), 0, 0.8, (20, 20, 20), 2)
    wall = np.full((480, 640, 3), 190, np.uint8)
    cv2.rectangle(wall, (300, 200), (340, 240), (90, 60, 60), -1)
    assert [fault(page), fault(wall)] == [None, None]


@pytest.mark.parametrize(
    ("through", "off"),
    [(light(0.05), {"dark": 0, "covered": 0}), (hand, {"covered": 0}), (defocus(9.0), {"blurred": 0})],
)
def test_each_limit_can_be_switched_off_and_all_of_them(
    through: Callable[[Pixels], Pixels], off: dict[str, float]
) -> None:
    shown = seen(SCENES[0], through)
    assert fault(shown) is not None
    assert fault(shown, msgspec.structs.replace(Limits(), **off)) is None
    assert fault(shown, Limits(check=False)) is None


@settings(max_examples=50)
@given(st.integers(1, 80), st.integers(1, 80), st.integers(0, 255), st.integers(0, 255))
def test_any_size_down_to_one_pixel(height: int, width: int, low: int, high: int) -> None:
    levels = np.random.default_rng(low).integers(min(low, high), max(low, high) + 1, (height, width, 3))
    found = fault(levels.astype(np.uint8))
    assert found is None or min(height, width) >= 32
