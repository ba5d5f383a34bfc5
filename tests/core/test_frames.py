"""Frame comparison on rendered pictures: what a camera does on its own is the same scene, a small change is not."""

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assistant.core.frames import SAME_SCENE, difference, same_scene, signature

Picture = NDArray[np.uint8]
SIZES = [(1280, 720), (1920, 1080), (640, 480), (160, 160)]


def room(size: tuple[int, int] = (1280, 720), seed: int = 0, **changed: Any) -> Picture:
    """A wall with light falling off, a textured table, things, a lamp and a gauge."""
    width, height = size
    u = min(width, height) / 720
    rng = np.random.default_rng(seed)
    base = np.linspace(190, 120, width)[None, :, None] * np.array([1.0, 0.95, 0.85])
    picture = np.repeat(base, height, 0)
    grain = cv2.resize(rng.normal(0, 14, (height // 8, width // 40)), (width, height - height // 2))
    picture[height // 2 :] = np.array([120, 90, 60]) + grain[..., None]
    canvas: Picture = np.clip(picture, 0, 255).astype(np.uint8).copy()

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * width), round(y * height)

    cv2.circle(canvas, at(0.25, 0.7), round(70 * u), (200, 40, 40), -1, cv2.LINE_AA)
    cv2.rectangle(canvas, at(0.45, 0.6), at(0.55, 0.8), (40, 60, 190), -1)
    if changed.get("mug", False):  # 2 % of the picture
        x, y = at(0.75, 0.65)
        side = round((0.02 * width * height) ** 0.5)
        cv2.rectangle(canvas, (x, y), (x + side, y + side), changed.get("mug_color", (230, 220, 60)), -1)
    lamp = changed.get("lamp", (60, 200, 60))
    cv2.circle(canvas, at(0.8, 0.2), round(22 * u), lamp, -1, cv2.LINE_AA)
    centre = at(0.5, 0.25)
    cv2.circle(canvas, centre, round(90 * u), (240, 240, 235), -1, cv2.LINE_AA)
    tick = float(changed.get("tick", 4))
    angle = np.deg2rad(150 + 24 * tick)
    tip = (round(centre[0] + 78 * u * np.cos(angle)), round(centre[1] + 78 * u * np.sin(angle)))
    cv2.line(canvas, centre, tip, (30, 20, 20), max(2, round(5 * u)), cv2.LINE_AA)
    return canvas


def noise(picture: Picture, sigma: float, seed: int = 1) -> Picture:
    values = picture + np.random.default_rng(seed).normal(0, sigma, picture.shape)
    noisy: Picture = np.clip(values, 0, 255).astype(np.uint8)
    return noisy


def exposure(picture: Picture, gain: float, offset: float = 0) -> Picture:
    exposed: Picture = np.clip(picture * gain + offset, 0, 255).astype(np.uint8)
    return exposed


def jpeg(picture: Picture, quality: int) -> Picture:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded[..., ::-1].astype(np.uint8)


def shift(picture: Picture, dx: int, dy: int) -> Picture:
    moved: Picture = np.roll(picture, (dy, dx), (0, 1))
    return moved


SAME: dict[str, Callable[[Picture], Picture]] = {
    "itself": lambda p: p,
    "noise 2": lambda p: noise(p, 2),
    "noise 4": lambda p: noise(p, 4),
    "brighter": lambda p: exposure(p, 1.1),
    "darker": lambda p: exposure(p, 0.9, -3),
    "jpeg 60": lambda p: jpeg(p, 60),
    "jpeg 60 of noise": lambda p: jpeg(noise(p, 4), 60),
    "a pixel to the right": lambda p: shift(p, 1, 0),
    "a pixel up, noise": lambda p: noise(shift(p, 0, -1), 3),
    "all of it": lambda p: jpeg(noise(exposure(shift(p, 1, 0), 1.07), 4), 60),
}
CHANGED: dict[str, dict[str, Any]] = {
    "a small thing appeared": {"mug": True},
    "the lamp is red": {"lamp": (210, 50, 40)},
    "the lamp is off": {"lamp": (60, 70, 60)},
    "the needle one tick up": {"tick": 5},
    "the needle one tick down": {"tick": 3},
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", SAME)
def test_what_a_camera_does_on_its_own_is_the_same_scene(what: str, size: tuple[int, int]) -> None:
    before, after = signature(room(size)), signature(SAME[what](room(size)))
    assert difference(before, after) <= SAME_SCENE


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("camera", ["itself", "noise 4", "darker", "jpeg 60"])
@pytest.mark.parametrize("what", CHANGED)
def test_a_small_change_is_another_scene(what: str, camera: str, size: tuple[int, int]) -> None:
    before, after = signature(room(size)), signature(SAME[camera](room(size, **CHANGED[what])))
    assert difference(before, after) > SAME_SCENE * 3  # with room to spare


@pytest.mark.parametrize("color", [(60, 220, 230), (200, 60, 60), (220, 220, 220)])
def test_a_thing_that_changed_its_colour_is_another_scene(color: tuple[int, int, int]) -> None:
    before = signature(room(mug=True))
    assert not same_scene(before, signature(noise(room(mug=True, mug_color=color), 3)))


def test_blank_pictures_of_other_brightness_or_colour_differ() -> None:
    def flat(*rgb: int) -> bytes:
        return signature(np.full((480, 640, 3), rgb, np.uint8))

    assert not same_scene(flat(0, 0, 0), flat(255, 255, 255))
    assert not same_scene(flat(120, 120, 120), flat(180, 90, 90))
    assert same_scene(flat(100, 100, 100), flat(104, 104, 104))


@pytest.mark.parametrize("other", [b"", b"x", signature(np.zeros((480, 641, 3), np.uint8)), b"\x09" + bytes(9220)])
def test_what_cannot_be_compared_is_never_the_same(other: bytes) -> None:
    known = signature(np.zeros((480, 640, 3), np.uint8))
    assert not same_scene(known, other)
    assert not same_scene(other, known)


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (0, 10, 3)])
def test_only_rgb_pictures_have_a_signature(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        signature(np.zeros(shape, np.uint8))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 90), st.integers(1, 70), st.integers(0, 2**31), st.integers(0, 2**31))
def test_difference_is_symmetric_and_never_negative(width: int, height: int, first: int, second: int) -> None:
    a, b = (
        signature(np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8))
        for seed in (first, second)
    )
    assert difference(a, b) == difference(b, a) >= 0
    assert difference(a, a) == 0


def test_a_frame_costs_little() -> None:
    picture = room()
    took = []
    for _ in range(15):
        began = time.perf_counter()
        signature(picture)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.003
