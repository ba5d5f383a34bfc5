"""Pictures that are not of the toy world: blanks, noise, patterns and photograph-like scenes.

They teach the model to say that it cannot tell. The kinds are many and wide apart on purpose: what counts is pictures
that nobody has drawn here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pico.render import Floats, Image, degrade, smooth_noise

Rng = np.random.Generator
Maker = Callable[[Rng, int, int], Floats]


def _color(rng: Rng) -> NDArray[np.float32]:
    return rng.uniform(0, 255, 3).astype(np.float32)


def _fill(height: int, width: int, color: NDArray[np.float32]) -> Floats:
    return np.full((height, width, 3), color, np.float32)


def blank(rng: Rng, height: int, width: int) -> Floats:
    """One colour; often black, white or grey, as with a covered or dazzled lens."""
    plain = np.full(3, rng.choice([0, 2, 12, 128, 200, 250, 255]), np.float32)
    return _fill(height, width, plain if rng.random() < 0.5 else _color(rng))


def gradient(rng: Rng, height: int, width: int) -> Floats:
    turn = rng.uniform(0, 2 * math.pi)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    along = np.clip(xs * math.cos(turn) + ys * math.sin(turn) + 0.5 * rng.random(), 0, 1)[..., None]
    return np.asarray(_color(rng) * along + _color(rng) * (1 - along), np.float32)


def noise(rng: Rng, height: int, width: int) -> Floats:
    """White noise, fine or in blocks, coloured or grey."""
    block = int(rng.choice([1, 1, 2, 4, 8, 20]))
    depth = 3 if rng.random() < 0.6 else 1
    shape = (height // block + 1, width // block + 1, depth)
    even = rng.random() < 0.5
    grid = rng.uniform(0, 255, shape) if even else 128 + rng.normal(size=shape) * rng.uniform(10, 90)
    big = np.repeat(np.repeat(grid, block, 0), block, 1)[:height, :width]
    return np.clip(np.broadcast_to(big, (height, width, 3)), 0, 255).astype(np.float32)


def clouds(rng: Rng, height: int, width: int) -> Floats:
    """Fractal noise between two or three colours."""
    total = np.zeros((height, width), np.float32)
    cells, weight = int(rng.integers(2, 6)), 1.0
    for _ in range(int(rng.integers(2, 7))):
        total += weight * smooth_noise(rng, height, width, cells, cells)
        cells, weight = min(cells * 2, 128), weight * rng.uniform(0.4, 0.9)
    mix = np.clip(0.5 + total * rng.uniform(0.2, 0.6), 0, 1)[..., None]
    return np.asarray(_color(rng) * mix + _color(rng) * (1 - mix), np.float32)


def stripes(rng: Rng, height: int, width: int) -> Floats:
    """Stripes or a checkerboard over the whole picture: like the ruler, but not one."""
    period, turn = rng.uniform(6, 90), rng.choice([0, 0, math.pi / 2, rng.uniform(0, math.pi)])
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = np.sin((xs * math.cos(turn) + ys * math.sin(turn)) * 2 * math.pi / period)
    if rng.random() < 0.5:
        wave = wave * np.sin((ys * math.cos(turn) - xs * math.sin(turn)) * 2 * math.pi / period)
    mix = (np.sign(wave) * 0.5 + 0.5 if rng.random() < 0.6 else wave * 0.5 + 0.5)[..., None]
    light, dark = (_color(rng), _color(rng)) if rng.random() < 0.6 else (np.full(3, 240.0), np.full(3, 20.0))
    return np.asarray(light * mix + dark * (1 - mix), np.float32)


def shapes(rng: Rng, height: int, width: int) -> Floats:
    """Circles, boxes, triangles and lines anywhere on any ground: objects without their stage."""
    grounds: list[Maker] = [blank, gradient, clouds]
    image = np.ascontiguousarray(grounds[rng.integers(3)](rng, height, width))
    for _ in range(int(rng.integers(1, 16))):
        color = tuple(float(c) for c in _color(rng))
        x, y = int(rng.integers(width)), int(rng.integers(height))
        size = int(rng.uniform(0.02, 0.3) * width)
        pick = rng.integers(5)
        if pick == 0:
            cv2.circle(image, (x, y), size // 2 + 1, color, -1, cv2.LINE_AA)
        elif pick == 1:
            cv2.rectangle(image, (x, y), (x + size, y + int(size * rng.uniform(0.2, 2))), color, -1)
        elif pick == 2:
            corners = np.array([x, y]) + rng.integers(-size - 1, size + 1, (int(rng.integers(3, 7)), 2))
            cv2.fillPoly(image, [corners.astype(np.int32)], color, cv2.LINE_AA)
        elif pick == 3:
            end = (int(rng.integers(width)), int(rng.integers(height)))
            cv2.line(image, (x, y), end, color, int(rng.integers(1, 9)), cv2.LINE_AA)
        else:
            around = (size // 2 + 1, int(size * rng.uniform(0.1, 1)) + 1)
            cv2.ellipse(image, (x, y), around, float(rng.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
    return image


def room(rng: Rng, height: int, width: int) -> Floats:
    """A wall and a floor or table with boxes and round things on it, but no ruler: the nearest to a scene."""
    image = gradient(rng, height, width) * 0.3 + _color(rng) * 0.7
    edge = int(height * rng.uniform(0.4, 0.85))
    image[edge:] = _color(rng) * (1 + 0.08 * smooth_noise(rng, height - edge, width, 30, 4)[..., None])
    for _ in range(int(rng.integers(0, 7))):
        color = tuple(float(c) for c in _color(rng))
        x, size = int(rng.integers(width)), int(rng.uniform(0.04, 0.2) * width)
        base = int(rng.integers(edge, height))
        if rng.random() < 0.5:
            cv2.rectangle(image, (x, base - int(size * rng.uniform(0.5, 2.5))), (x + size, base), color, -1)
        else:
            cv2.circle(image, (x, base - size // 2), size // 2, color, -1, cv2.LINE_AA)
    return image


def landscape(rng: Rng, height: int, width: int) -> Floats:
    """Sky, perhaps a sun, hills and a ground with leaf-like noise, perhaps trees."""
    sky, low = np.array([90, 140, 220]) + rng.normal(0, 30, 3), np.array([210, 220, 235]) + rng.normal(0, 20, 3)
    down = np.linspace(0, 1, height)[:, None, None]
    image = np.broadcast_to(sky * (1 - down) + low * down, (height, width, 3)).astype(np.float32)
    image = np.ascontiguousarray(image + 18 * smooth_noise(rng, height, width, 5, 7)[..., None])
    if rng.random() < 0.4:
        spot = (int(rng.integers(width)), int(rng.integers(height // 2)))
        cv2.circle(image, spot, int(rng.uniform(0.02, 0.07) * width), (255.0, 245.0, 200.0), -1, cv2.LINE_AA)
    xs = np.arange(width)
    line = height * rng.uniform(0.3, 0.7)
    for _ in range(int(rng.integers(1, 4))):
        hill = line + height * 0.1 * np.asarray(smooth_noise(rng, 1, width, 1, int(rng.integers(3, 9))))[0]
        tint = np.array([70, 110, 60]) + rng.normal(0, 30, 3)
        leaf = 1 + rng.uniform(0.05, 0.35) * smooth_noise(rng, height, width, height // 5, width // 5)
        under = np.arange(height)[:, None] > hill[None, xs]
        image = np.where(under[..., None], (tint * leaf[..., None]).astype(np.float32), image)
        image = np.ascontiguousarray(image)
        line += height * rng.uniform(0.05, 0.2)
    for _ in range(int(rng.integers(0, 5))):
        x, base = int(rng.integers(width)), int(height * rng.uniform(0.5, 0.95))
        tall = int(height * rng.uniform(0.1, 0.4))
        cv2.rectangle(image, (x - 3, base - tall), (x + 3, base), (70.0, 50.0, 35.0), -1)
        crown = tuple(float(c) for c in np.array([40, 90, 40]) + rng.normal(0, 25, 3))
        cv2.circle(image, (x, base - tall), tall // 2 + 2, crown, -1, cv2.LINE_AA)
    return np.ascontiguousarray(image, dtype=np.float32)


def town(rng: Rng, height: int, width: int) -> Floats:
    """Houses with rows of windows along a street; sometimes with the dashes of a road, which resemble the ruler."""
    image = landscape(rng, height, width)
    x = int(-0.1 * width)
    while x < width:
        wide, tall = int(width * rng.uniform(0.1, 0.35)), int(height * rng.uniform(0.3, 0.9))
        front, pane = _color(rng) * 0.8, _color(rng) * rng.uniform(0.2, 1)
        base = int(height * rng.uniform(0.75, 0.95))
        cv2.rectangle(image, (x, base - tall), (x + wide, base), tuple(map(float, front)), -1)
        step = int(rng.integers(8, 26))
        for wx in range(x + 4, x + wide - step // 2, step):
            for wy in range(base - tall + 5, base - step, step):
                cv2.rectangle(image, (wx, wy), (wx + step // 2, wy + step // 2), tuple(map(float, pane)), -1)
        x += wide + int(width * rng.uniform(0, 0.05))
    road = int(height * rng.uniform(0.78, 0.95))
    image[road:] = rng.uniform(50, 130)
    if rng.random() < 0.5:
        for dash in range(0, width, 30):
            cv2.rectangle(image, (dash, (road + height) // 2), (dash + 14, (road + height) // 2 + 4), (225.0,) * 3, -1)
    return image


def face(rng: Rng, height: int, width: int) -> Floats:
    """One or more head-like ovals with hair, eyes and a mouth before a blurred ground."""
    image = np.ascontiguousarray(clouds(rng, height, width))
    for _ in range(int(rng.integers(1, 4))):
        skin = np.array([225, 180, 150]) * rng.uniform(0.35, 1.1) + rng.normal(0, 8, 3)
        x, y, r = int(rng.integers(width)), int(rng.uniform(0.25, 0.65) * height), int(width * rng.uniform(0.06, 0.24))
        cv2.rectangle(image, (x - 2 * r, y + r), (x + 2 * r, height), tuple(map(float, _color(rng))), -1)
        cv2.ellipse(
            image, (x, y - r // 3), (int(r * 1.05), int(r * 1.2)), 0, 0, 360, tuple(map(float, _color(rng) * 0.5)), -1
        )
        cv2.ellipse(image, (x, y), (int(r * 0.85), int(r * 1.15)), 0, 0, 360, tuple(map(float, skin)), -1, cv2.LINE_AA)
        for side in (-1, 1):
            cv2.circle(image, (x + side * r // 3, y - r // 5), max(1, r // 9), (30.0, 25.0, 25.0), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, y + r // 2), (r // 3 + 1, r // 9 + 1), 0, 0, 360, (170.0, 70.0, 70.0), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 3)), np.float32)


def page(rng: Rng, height: int, width: int) -> Floats:
    """A page or screen with lines of text."""
    ink, paper = (_color(rng) * 0.3, 255 - _color(rng) * 0.2) if rng.random() < 0.7 else (_color(rng), _color(rng))
    image = _fill(height, width, np.clip(paper, 0, 255).astype(np.float32)).astype(np.uint8)
    y = int(rng.integers(8, 30))
    while y < height:
        word = "".join(chr(int(c)) for c in rng.integers(33, 122, int(rng.integers(3, 40))))
        cv2.putText(
            image,
            word,
            (int(rng.integers(2, 30)), y),
            int(rng.integers(0, 4)),
            rng.uniform(0.3, 1.1),
            tuple(map(float, ink)),
        )
        y += int(rng.integers(12, 34))
    return image.astype(np.float32)


def collage(rng: Rng, height: int, width: int) -> Floats:
    """Pieces of other kinds side by side, blurred."""
    image = landscape(rng, height, width)
    for _ in range(int(rng.integers(2, 9))):
        piece = _ALL[rng.integers(len(_ALL) - 1)](rng, height // 3, width // 3)
        y, x = int(rng.integers(height - height // 3)), int(rng.integers(width - width // 3))
        image[y : y + height // 3, x : x + width // 3] = piece
    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 6)), np.float32)


_ALL: list[Maker] = [blank, gradient, noise, clouds, stripes, shapes, room, landscape, town, face, page, collage]
GROUPS: dict[str, list[Maker]] = {
    "blank": [blank, gradient],
    "noise": [noise, clouds],
    "photo": [room, landscape, town, face, collage],
    "any": _ALL,
}
SIZES = ((320, 240), (320, 180), (240, 240), (320, 213), (240, 320))


def make(group: str, rng: Rng, size: tuple[int, int] | None = None) -> Image:
    """One picture of `group` ("blank", "noise", "photo" or "any"), `size` = (width, height): RGB bytes [h, w, 3]."""
    makers = GROUPS[group]
    width, height = size or SIZES[rng.integers(len(SIZES))]
    pixels = makers[rng.integers(len(makers))](rng, height, width)
    pixels = np.clip(pixels, 0, 255) * np.float32(rng.choice([1, 1, 1, 1, 0.08, 0.3, 1.8]))
    return degrade(np.clip(pixels, 0, 255).astype(np.float32), rng)
