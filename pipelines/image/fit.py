"""Changing a picture's size as models expect it: Pillow's antialiasing filters to the bit, and letterboxing.

The reference image processors resize with Pillow; OpenCV's filters of the same names do not antialias when they
shrink, which moves every pixel value a model sees. The arithmetic here is that of Pillow 11 and 12.0 (Resample.c):
separable, filter widened by the scale, 22-bit fixed-point weights, rounded to 8 bits after each pass, columns first.
(Later versions do the cheaper pass first, which changes some pixels by one level.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # RGB, [height, width, 3]
PRECISION = 1 << 22
NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING = range(6)  # Pillow's numbers, which preprocessor_config.json gives
COSINE = (float(np.float32(0.54)), float(np.float32(0.46)))  # single precision there


def _sinc(x: float) -> float:
    return 1.0 if x == 0.0 else math.sin(math.pi * x) / (math.pi * x)


def _bicubic(x: float) -> float:
    a, x = -0.5, abs(x)
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    return (((x - 5.0) * x + 8.0) * x - 4.0) * a if x < 2.0 else 0.0


def _hamming(x: float) -> float:
    return _sinc(x) * (COSINE[0] + COSINE[1] * math.cos(math.pi * x)) if abs(x) < 1.0 else 0.0


# Pillow's number -> half the filter's width in source pixels, and its shape.
FILTERS: dict[int, tuple[float, Callable[[float], float]]] = {
    LANCZOS: (3.0, lambda x: _sinc(x) * _sinc(x / 3.0) if -3.0 <= x < 3.0 else 0.0),
    BILINEAR: (1.0, lambda x: max(0.0, 1.0 - abs(x))),
    BICUBIC: (2.0, _bicubic),
    BOX: (0.5, lambda x: 1.0 if -0.5 < x <= 0.5 else 0.0),
    HAMMING: (1.0, _hamming),
}


def resize(picture: Picture, height: int, width: int, resample: int = BILINEAR) -> Picture:
    """The picture in exactly this size, with Pillow's filter of that number (NEAREST or a key of FILTERS)."""
    if picture.shape[:2] == (height, width):
        return picture
    if resample == NEAREST:
        rows, columns = _nearest(picture.shape[0], height), _nearest(picture.shape[1], width)
        return np.ascontiguousarray(picture[rows][:, columns])
    # One pass works on rows; the other is the same pass on the picture lying on its side.
    if width != picture.shape[1]:
        lying = np.ascontiguousarray(picture.transpose(1, 0, 2))
        picture = np.ascontiguousarray(_rows(lying, width, resample).transpose(1, 0, 2))
    return _rows(picture, height, resample) if height != picture.shape[0] else picture


def _nearest(source: int, target: int) -> NDArray[np.intp]:
    """Source row of every target row. Steps are summed up, as Pillow does, so that rounding falls the same way."""
    step = source / target
    found: NDArray[np.intp] = np.cumsum([step * 0.5] + [step] * (target - 1)).astype(np.intp)
    return np.minimum(found, source - 1)


def _rows(picture: Picture, height: int, resample: int) -> Picture:
    """The picture with ``height`` rows. Whole numbers in float64 are exact, and go through the fast matrix product."""
    flat = picture.reshape(picture.shape[0], -1)
    out = np.empty((height, flat.shape[1]), np.uint8)
    for row, (first, weights) in enumerate(_weights(picture.shape[0], height, resample)):
        sums = weights @ flat[first : first + len(weights)].astype(np.float64)
        out[row] = np.clip(np.floor(sums / PRECISION + 0.5), 0, 255)
    return out.reshape(height, *picture.shape[1:])


@lru_cache(maxsize=16)
def _weights(source: int, target: int, resample: int) -> list[tuple[int, NDArray[np.float64]]]:
    """For every target row its first source row and the fixed-point weights of it and those that follow."""
    half, shape = FILTERS[resample]
    scale = source / target
    spread = max(scale, 1.0)
    found = []
    for position in range(target):
        centre = (position + 0.5) * scale
        first = max(int(centre - half * spread + 0.5), 0)
        last = min(int(centre + half * spread + 0.5), source)
        raw = [shape((x - centre + 0.5) * (1.0 / spread)) for x in range(first, last)]  # as there, to the last bit
        total = sum(raw)
        fixed = [weight / total * PRECISION for weight in raw]
        found.append((first, np.array([int(w - 0.5) if w < 0 else int(w + 0.5) for w in fixed], np.float64)))
    return found


def fit(
    picture: Picture, height: int, width: int, color: tuple[int, int, int] = (0, 0, 0), resample: int = BILINEAR
) -> Picture:
    """The whole picture in the middle of a frame of this size, its aspect ratio kept; ``color`` around it."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inner_height = min(height, max(1, round(picture.shape[0] * scale)))
    inner_width = min(width, max(1, round(picture.shape[1] * scale)))
    inner = resize(picture, inner_height, inner_width, resample)
    if inner.shape[:2] == (height, width):
        return inner
    out = np.empty((height, width, 3), np.uint8)
    out[:] = np.array(color, np.uint8)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    out[top : top + inner_height, left : left + inner_width] = inner
    return out


def limit(picture: Picture, height: int = 1080, width: int = 1920) -> Picture:
    """The picture itself if it lies within these bounds (upright pictures: turned bounds), else shrunk into them."""
    if picture.shape[0] > picture.shape[1]:
        height, width = width, height
    scale = min(height / picture.shape[0], width / picture.shape[1])
    if scale >= 1:
        return picture
    import cv2

    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
