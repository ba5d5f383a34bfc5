"""Renders scenes of the toy world with their truth: `python -m models.pico.scene --seed N --count K --out DIR`.

Writes scene-0000.png and scene-0000.json, and so on. `--kind noise|blank|photo` writes pictures that are not of the toy
world; `--objects`, `--lamp` and `--gauge` compose one scene instead of drawing it by lot.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import cv2
import numpy as np

from models.pico import negatives
from models.pico.render import Image, render
from models.pico.world import COLORS, EDGE, KINDS, LAMPS, MAX_GAUGE, MAX_OBJECTS, MIN_GAP, Scene, Thing, sample

KINDS_OF_PICTURE = ("scene", "noise", "blank", "photo")


def picture(kind: str, seed: int, scene: Scene | None = None, width: int = 640) -> tuple[Image, Scene]:
    """One picture, RGB bytes [480, 640, 3] unless told otherwise, with its truth; the same for the same seed."""
    # Seeds are spelt so that no number given here draws what the training pictures were drawn from.
    rng = np.random.default_rng([seed, KINDS_OF_PICTURE.index(kind)])
    if kind == "scene":
        return render(scene or sample(random.Random(f"scene {seed}"), (4, 3)), rng, width)
    return negatives.make(kind, rng, (width, width * 3 // 4)), Scene(valid=False)


def compose(objects: str, lamp: str, gauge: int) -> Scene:
    """A scene from text such as "red ball, blue cube"; objects stand from left to right, evenly spaced."""
    pairs = [tuple(part.split()) for part in objects.split(",") if part.strip()]
    if len(pairs) > MAX_OBJECTS or len(set(pairs)) < len(pairs):
        raise ValueError(f"at most {MAX_OBJECTS} different objects: {objects!r}")
    for pair in pairs:
        if len(pair) != 2 or pair[0] not in COLORS or pair[1] not in KINDS:
            raise ValueError(f"not a colour of {COLORS} and a kind of {KINDS}: {' '.join(pair)!r}")
    step = max(MIN_GAP, (1 - 2 * EDGE) / max(len(pairs), 1))
    start = 0.5 - step * (len(pairs) - 1) / 2
    things = tuple(Thing(kind, color, start + step * index) for index, (color, kind) in enumerate(pairs))
    return Scene(objects=things, lamp=None if lamp == "none" else lamp, gauge=None if gauge < 0 else gauge)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Render scenes of pico's toy world as PNG, with their truth as JSON.")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same pictures")
    parser.add_argument("--count", type=int, default=1, help="how many pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--kind", choices=KINDS_OF_PICTURE, default="scene", help="scene, or something that is none")
    parser.add_argument("--objects", help='compose a scene: "red ball, blue cube", left to right')
    parser.add_argument("--lamp", choices=(*LAMPS, "none"), default="none", help="with --objects")
    parser.add_argument(
        "--gauge", type=int, choices=range(-1, MAX_GAUGE + 1), default=-1, help="with --objects; -1 = none"
    )
    args = parser.parse_args(argv)
    composed = None if args.objects is None else compose(args.objects, args.lamp, args.gauge)
    args.out.mkdir(parents=True, exist_ok=True)
    for index in range(args.count):
        image, truth = picture(args.kind, args.seed * 1_000_003 + index, composed)
        stem = args.out / f"{args.kind}-{index:04d}"
        cv2.imwrite(str(stem.with_suffix(".png")), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        stem.with_suffix(".json").write_text(json.dumps(truth.to_json(), indent=1) + "\n")


if __name__ == "__main__":
    main()
