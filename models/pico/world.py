"""The toy world: what a scene may hold, how one is drawn by lot, and how it changes. No pictures here."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace
from typing import Any

KINDS = ("ball", "cube", "cone", "bottle", "mug")
COLORS = ("red", "green", "blue", "yellow", "white", "purple")
LAMPS = ("red", "green", "off")
MAX_OBJECTS = 4
MAX_GAUGE = 10
# Objects stand further apart than they are wide, so that "left of" is never a matter of taste.
MIN_GAP = 0.18
EDGE = 0.11
ASPECTS = ((4, 3), (16, 9), (1, 1), (3, 2))
# Where "left", "middle" and "right" end, and how near to such an end nobody is asked.
LEFT_END, RIGHT_END, WHERE_MARGIN = 0.37, 0.63, 0.03


@dataclass(frozen=True)
class Thing:
    """One object on the table; `x` is the centre as a share of the picture's width."""

    kind: str
    color: str
    x: float


@dataclass(frozen=True)
class Scene:
    """The truth of one picture. `valid` is False for noise, blanks and photographs: nothing may be said about those."""

    objects: tuple[Thing, ...] = ()
    lamp: str | None = None
    gauge: int | None = None
    valid: bool = True
    aspect: tuple[int, int] = field(default=(4, 3))
    # Where the instruments hang, as shares of width and height from the upper left corner; known once drawn.
    lamp_at: tuple[float, float] | None = None
    gauge_at: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for the JSON file beside the picture; objects run from left to right."""
        return asdict(self)


def sample(rng: random.Random, aspect: tuple[int, int] | None = None) -> Scene:
    """Draw one scene: 0 to 4 objects, repeated kinds in about half of the larger ones, instruments mostly."""
    count = rng.choices(range(MAX_OBJECTS + 1), (6, 20, 25, 25, 24))[0]
    kinds = KINDS if rng.random() < 0.55 else rng.sample(KINDS, rng.choice((1, 2, 2)))
    pairs = [(kind, color) for kind in kinds for color in COLORS]
    chosen = rng.sample(pairs, count)
    slack = 1 - 2 * EDGE - MIN_GAP * max(count - 1, 0)
    starts = sorted(rng.random() * slack for _ in range(count))
    things = tuple(
        Thing(kind, color, EDGE + start + index * MIN_GAP)
        for index, (start, (kind, color)) in enumerate(zip(starts, chosen, strict=True))
    )
    return Scene(
        objects=things,
        lamp=rng.choice(LAMPS) if rng.random() < 0.7 else None,
        gauge=rng.randint(0, MAX_GAUGE) if rng.random() < 0.7 else None,
        aspect=aspect or rng.choices(ASPECTS, (60, 16, 12, 12))[0],
    )


def vary(scene: Scene, rng: random.Random) -> Scene:
    """The same stage a little later: instruments mostly change, an object may go or another set appear."""
    if not scene.valid:
        return sample(rng)
    lamp, gauge = scene.lamp, scene.gauge
    if lamp is not None and rng.random() < 0.6:
        lamp = rng.choice(LAMPS)
    if gauge is not None and rng.random() < 0.65:
        gauge = rng.randint(0, MAX_GAUGE)
    objects = scene.objects
    if rng.random() < 0.5:
        objects = sample(rng).objects
    elif objects and rng.random() < 0.3:
        gone = rng.randrange(len(objects))
        objects = objects[:gone] + objects[gone + 1 :]
    return replace(scene, objects=objects, lamp=lamp, gauge=gauge)


def third(x: float) -> str | None:
    """Which third of the picture `x` lies in, or None where people would disagree."""
    if min(abs(x - LEFT_END), abs(x - RIGHT_END)) < WHERE_MARGIN:
        return None
    return "left" if x < LEFT_END else "right" if x > RIGHT_END else "middle"
