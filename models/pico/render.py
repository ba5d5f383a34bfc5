"""Draws a scene: a table with a ruler along its front edge, objects on it, a gauge and a lamp on the wall.

The ruler is in every scene and in nothing else, which is what lets the model tell its world from any other picture.
Lengths are shares of the picture's width; heights are measured upwards from the lower edge.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pico.world import Scene, Thing

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

RGB = {
    "red": (205, 35, 35),
    "green": (35, 150, 55),
    "blue": (35, 75, 205),
    "yellow": (235, 200, 30),
    "white": (240, 240, 238),
    "purple": (135, 45, 165),
}
LAMP_RGB = {"red": (255, 45, 40), "green": (50, 235, 80), "off": (48, 48, 52)}
TABLES = ((150, 105, 65), (120, 80, 50), (95, 100, 105), (170, 135, 95), (75, 90, 85), (105, 70, 60))
WALLS = ((170, 165, 155), (140, 150, 160), (185, 170, 150), (125, 130, 125), (160, 150, 165), (110, 120, 130))
TABLE_TOP = 0.24
SHIFT = 4  # cv2 takes coordinates in 1/16 pixel, so that edges do not snap to the grid


class Canvas:
    """A float picture [height, width, 3] in RGB, drawn on in width units with antialiased edges."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels: Floats = np.zeros((height, width, 3), np.float32)

    def point(self, x: float, up: float) -> tuple[int, int]:
        """Width units to cv2's fixed-point pixels."""
        one = self.width * (1 << SHIFT)
        return round(x * one), round(self.height * (1 << SHIFT) - up * one)

    def blend(self, mask: Image, color: tuple[float, ...] | Floats, alpha: float = 1.0) -> None:
        """Lay `color` (one colour, or a picture of the canvas's size) over the pixels of `mask`."""
        left, top, wide, high = cv2.boundingRect(mask)
        if not wide:
            return
        box = np.s_[top : top + high, left : left + wide]
        weight = mask[box].astype(np.float32)[..., None] * (alpha / 255)
        over = np.asarray(color, np.float32)
        self.pixels[box] += weight * ((over[box] if over.ndim == 3 else over) - self.pixels[box])

    def polygon(self, points: list[tuple[float, float]]) -> Image:
        mask = np.zeros((self.height, self.width), np.uint8)
        cv2.fillPoly(mask, [np.array([self.point(*p) for p in points], np.int32)], 255, cv2.LINE_AA, SHIFT)
        return mask

    def ellipse(self, x: float, up: float, rx: float, ry: float) -> Image:
        turns = [2 * math.pi * step / 28 for step in range(28)]
        return self.polygon([(x + rx * math.cos(t), up + ry * math.sin(t)) for t in turns])

    def line(self, a: tuple[float, float], b: tuple[float, float], thick: float) -> Image:
        length = math.hypot(b[0] - a[0], b[1] - a[1]) or 1e-6
        nx, ny = -(b[1] - a[1]) / length * thick / 2, (b[0] - a[0]) / length * thick / 2
        return self.polygon(
            [(a[0] + nx, a[1] + ny), (b[0] + nx, b[1] + ny), (b[0] - nx, b[1] - ny), (a[0] - nx, a[1] - ny)]
        )


def smooth_noise(rng: np.random.Generator, height: int, width: int, rows: int, columns: int) -> Floats:
    """Noise of about unit strength [height, width], enlarged from a coarse grid."""
    grid = rng.normal(size=(rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _surface(canvas: Canvas, rng: np.random.Generator, base: tuple[int, ...], wood: bool) -> Floats:
    height, width = canvas.height, canvas.width
    grain = smooth_noise(rng, height, width, 40, 3) if wood else smooth_noise(rng, height, width, 6, 8)
    color = np.asarray(base, np.float32) * rng.uniform(0.85, 1.15) + rng.normal(0, 6, 3)
    shade = 1 + (rng.uniform(0.02, 0.07)) * grain
    return (color.astype(np.float32) * shade[..., None]).astype(np.float32)


def _stage(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.pixels[:] = _surface(canvas, rng, WALLS[rng.integers(len(WALLS))], wood=False)
    table = _surface(canvas, rng, TABLES[rng.integers(len(TABLES))], wood=bool(rng.random() < 0.7))
    canvas.blend(canvas.polygon([(-1, -1), (2, -1), (2, TABLE_TOP), (-1, TABLE_TOP)]), table)
    canvas.blend(
        canvas.polygon([(-1, TABLE_TOP - 0.006), (2, TABLE_TOP - 0.006), (2, TABLE_TOP), (-1, TABLE_TOP)]),
        (40, 35, 30),
        0.5,
    )
    low, high = 0.018, 0.072
    canvas.blend(canvas.polygon([(-1, -1), (2, -1), (2, low), (-1, low)]), (45, 40, 38))
    canvas.blend(canvas.polygon([(-1, low), (2, low), (2, high), (-1, high)]), (242, 240, 232))
    step = 0.0625
    for index in range(-10, 28):
        left = index * step
        if index % 2:
            canvas.blend(
                canvas.polygon([(left, low), (left + step, low), (left + step, high), (left, high)]), (22, 22, 24)
            )


def _body(canvas: Canvas, mask: Image, color: Floats, x: float, half: float, light: float) -> None:
    """Fill a rounded body: brighter on the side that the light comes from."""
    across = (np.arange(canvas.width, dtype=np.float32) / canvas.width - x) / half
    shade = np.clip(0.88 + 0.2 * light * across - 0.16 * across * across, 0.45, 1.12)
    row = (color * shade[:, None]).astype(np.float32)
    canvas.blend(mask, np.broadcast_to(row, (canvas.height, *row.shape)))


def _draw_thing(canvas: Canvas, thing: Thing, up: float, rng: np.random.Generator, light: float) -> None:
    x, size = thing.x, rng.uniform(0.92, 1.08)
    color = np.clip(np.asarray(RGB[thing.color], np.float32) + rng.normal(0, 7, 3), 0, 255).astype(np.float32)
    canvas.blend(canvas.ellipse(x + 0.012 * light, up, 0.075 * size, 0.018), (15, 12, 10), 0.45)
    if thing.kind == "ball":
        r = 0.066 * size
        _body(canvas, canvas.ellipse(x, up + r, r, r), color, x, r, light)
        canvas.blend(canvas.ellipse(x + 0.3 * r * light, up + 1.4 * r, 0.24 * r, 0.18 * r), (255, 255, 255), 0.55)
    elif thing.kind == "cube":
        a, depth = 0.1 * size, 0.034 * size * (1 if rng.random() < 0.5 else -1)
        left = x - a / 2 - depth / 2
        near = left + a if depth > 0 else left
        canvas.blend(
            canvas.polygon([(left, up), (left + a, up), (left + a, up + a), (left, up + a)]), tuple(color * 0.86)
        )
        canvas.blend(
            canvas.polygon(
                [(left, up + a), (left + a, up + a), (left + a + depth, up + a * 1.3), (left + depth, up + a * 1.3)]
            ),
            tuple(color),
        )
        canvas.blend(
            canvas.polygon([(near, up), (near + depth, up + a * 0.3), (near + depth, up + a * 1.3), (near, up + a)]),
            tuple(color * 0.6),
        )
    elif thing.kind == "cone":
        r, tall = 0.068 * size, 0.165 * size
        mask = np.maximum(
            canvas.polygon([(x - r, up + 0.008), (x + r, up + 0.008), (x, up + tall)]),
            canvas.ellipse(x, up + 0.01, r, 0.018),
        )
        _body(canvas, mask, color, x, r, light)
    elif thing.kind == "bottle":
        r, tall = 0.042 * size, 0.2 * size
        outline = [
            (-r, 0.0),
            (r, 0.0),
            (r, tall * 0.55),
            (r * 0.38, tall * 0.72),
            (r * 0.38, tall),
            (-r * 0.38, tall),
            (-r * 0.38, tall * 0.72),
            (-r, tall * 0.55),
        ]
        _body(canvas, canvas.polygon([(x + dx, up + dy) for dx, dy in outline]), color, x, r, light)
        cap = [
            (x - r * 0.48, up + tall * 0.94),
            (x + r * 0.48, up + tall * 0.94),
            (x + r * 0.48, up + tall * 1.05),
            (x - r * 0.48, up + tall * 1.05),
        ]
        canvas.blend(canvas.polygon(cap), (35, 35, 38))
    else:
        r, tall = 0.054 * size, 0.112 * size
        side = 1 if rng.random() < 0.5 else -1
        middle = x - side * 0.014
        ring = canvas.ellipse(middle + side * r, up + tall * 0.52, 0.036 * size, 0.036 * size)
        ring = cv2.subtract(ring, canvas.ellipse(middle + side * r, up + tall * 0.52, 0.02 * size, 0.02 * size)).astype(
            np.uint8
        )
        canvas.blend(ring, tuple(color * 0.8))
        mask = np.maximum(
            canvas.polygon([(middle - r, up), (middle + r, up), (middle + r, up + tall), (middle - r, up + tall)]),
            canvas.ellipse(middle, up + tall, r, 0.018),
        )
        _body(canvas, mask, color, middle, r, light)
        canvas.blend(canvas.ellipse(middle, up + tall, r * 0.84, 0.013), tuple(color * 0.32))


def _draw_gauge(canvas: Canvas, value: int, x: float, up: float, rng: np.random.Generator) -> None:
    r = rng.uniform(0.082, 0.09)
    canvas.blend(canvas.ellipse(x, up, r * 1.1, r * 1.1), (40, 42, 46))
    canvas.blend(canvas.ellipse(x, up, r, r), (236, 236, 230))

    def at(number: float, share: float) -> tuple[float, float]:
        turn = math.radians(225 - 27 * number)
        return x + share * r * math.cos(turn), up + share * r * math.sin(turn)

    for tick in range(11):
        canvas.blend(canvas.line(at(tick, 0.78), at(tick, 0.95), 0.007 if tick % 5 == 0 else 0.004), (30, 30, 30))
    shown = value + rng.uniform(-0.2, 0.2)
    canvas.blend(canvas.line(at(shown, -0.15), at(shown, 0.8), 0.017), (190, 25, 25))
    canvas.blend(canvas.ellipse(x, up, 0.013, 0.013), (25, 25, 25))


def _draw_lamp(canvas: Canvas, state: str, x: float, up: float) -> None:
    canvas.blend(
        canvas.polygon(
            [(x - 0.058, up - 0.058), (x + 0.058, up - 0.058), (x + 0.058, up + 0.058), (x - 0.058, up + 0.058)]
        ),
        (28, 28, 30),
    )
    if state != "off":
        canvas.blend(canvas.ellipse(x, up, 0.054, 0.054), LAMP_RGB[state], 0.35)
    canvas.blend(canvas.ellipse(x, up, 0.041, 0.041), (95, 95, 98))
    canvas.blend(canvas.ellipse(x, up, 0.037, 0.037), LAMP_RGB[state])
    canvas.blend(canvas.ellipse(x - 0.012, up + 0.014, 0.009, 0.007), (255, 255, 255), 0.75 if state != "off" else 0.3)


def degrade(pixels: Floats, rng: np.random.Generator) -> Image:
    """What a camera adds: light, colour cast, blur, noise and JPEG, all moderate. [h, w, 3] floats to bytes."""
    height, width = pixels.shape[:2]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * rng.uniform(-0.1, 0.1)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * rng.uniform(-0.1, 0.1)
    light = ((1 + across + down) * rng.uniform(0.8, 1.12))[..., None] * (1 + rng.normal(0, 0.025, 3))
    out = pixels * light.astype(np.float32)
    if rng.random() < 0.5:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 0.9) * width / 320), np.float32)
    out = out + rng.normal(0, 1, (height, width, 1)).astype(np.float32) * rng.uniform(0, 6)
    image = np.clip(out, 0, 255).astype(np.uint8)
    ok, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 96))])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8) if ok else image


def render(scene: Scene, rng: np.random.Generator, width: int = 320) -> tuple[Image, Scene]:
    """Draw `scene` at `width` and its own aspect. Returns RGB bytes [h, w, 3] and the scene as the camera sees it.

    The camera stands a little askew each time, so the returned `x` differ slightly from the given ones.
    """
    height = round(width * scene.aspect[1] / scene.aspect[0])
    canvas = Canvas(width, height)
    _stage(canvas, rng)
    tall = height / width
    places = sorted(rng.permutation([0.2, 0.5, 0.8])[:2] + rng.uniform(-0.06, 0.06, 2))
    if rng.random() < 0.5:
        places.reverse()
    gauge_up, lamp_up = rng.uniform(0.44, max(0.45, tall - 0.13)), rng.uniform(0.42, max(0.45, tall - 0.1))
    if scene.gauge is not None:
        _draw_gauge(canvas, scene.gauge, places[0], gauge_up, rng)
    if scene.lamp is not None:
        _draw_lamp(canvas, scene.lamp, places[1], lamp_up)
    light = rng.uniform(-1, 1)
    for thing in scene.objects:
        _draw_thing(canvas, thing, rng.uniform(0.095, 0.15), rng, light)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    zoom = rng.uniform(0.97, 1.03)
    moved = (corners - corners.mean(0)) * zoom + corners.mean(0)
    moved = moved + rng.normal(0, 0.007 * width, (4, 2)) + rng.normal(0, 0.006 * width, 2)
    moved[2:, 1] = np.maximum(moved[2:, 1], height * 0.985)
    moved[2:, 1] = np.minimum(moved[2:, 1], height * 1.01)
    view = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    warped = cv2.warpPerspective(
        canvas.pixels, view, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )

    def where(x: float, up: float) -> tuple[float, float]:
        spot = view @ np.array([x * width, height - up * width, 1.0])
        return float(np.clip(spot[0] / spot[2] / width, 0.03, 0.97)), float(np.clip(spot[1] / spot[2] / height, 0, 1))

    truth = replace(
        scene,
        objects=tuple(replace(thing, x=where(thing.x, 0.18)[0]) for thing in scene.objects),
        gauge_at=None if scene.gauge is None else where(places[0], gauge_up),
        lamp_at=None if scene.lamp is None else where(places[1], lamp_up),
    )
    return degrade(np.asarray(warped, np.float32), rng), truth


def letterbox(image: Image, size: int = 160, pad: tuple[int, int, int] = (128, 128, 128)) -> Image:
    """Fit [h, w, 3] into a square of `size` by area averaging, aspect kept, centred; as the shipped settings say."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    new_w, new_h = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    out = np.empty((size, size, 3), np.uint8)
    out[:] = pad
    top, left = (size - new_h) // 2, (size - new_w) // 2
    out[top : top + new_h, left : left + new_w] = small
    return out
