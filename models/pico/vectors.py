"""What the encoder says of a picture as 27 rows of features, one for each image token; here from the truth.

One row for the whole picture, then for each kind four rows (its colours, what stands left of it, what right of it, its
place), one row for each object from left to right, the gauge, the lamp. A row answers one sort of question, so that the
decoder finds an answer by looking at the right row rather than by picking it out of a crowded one. All features are 0
or 1. A picture that is not of the toy world has one feature only, in every row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pico.world import COLORS, KINDS, LAMPS, LEFT_END, MAX_GAUGE, MAX_OBJECTS, RIGHT_END, Scene

K, C = len(KINDS), len(COLORS)
PARTS = ("whole", "color", "left", "right", "place", "slot", "gauge", "lamp")
# part -> its first row
FIRST = {"color": 1, "left": 1 + K, "right": 1 + 2 * K, "place": 1 + 3 * K, "slot": 1 + 4 * K}
ROWS = 1 + 4 * K + MAX_OBJECTS + 2
_SIZES = {
    "part": len(PARTS), "slot": MAX_OBJECTS, "invalid": 1, "kind": K,
    "color1": C, "color2": C, "color3": C, "color4": C,
    "count": MAX_OBJECTS + 1, "left_kind": K, "left_color": C, "left_none": 1, "right_kind": K, "right_color": C,
    "right_none": 1, "third": 3, "present": K, "gauge": MAX_GAUGE + 2, "lamp": len(LAMPS) + 1,
}  # fmt: skip
_ENDS = np.cumsum(list(_SIZES.values())).tolist()
# name -> the features that hold it
BLOCKS = {name: slice(end - size, end) for (name, size), end in zip(_SIZES.items(), _ENDS, strict=True)}
FEATURES: int = _ENDS[-1]


def at(block: str, index: int = 0) -> int:
    """The number of feature `index` of `block`."""
    return int(BLOCKS[block].start) + index


def fixed() -> NDArray[np.float32]:
    """What every picture of the toy world has: the features [ROWS, FEATURES] that say what each row is about."""
    out = np.zeros((ROWS, FEATURES), np.float32)
    out[[0, ROWS - 2, ROWS - 1], [at("part", PARTS.index(part)) for part in ("whole", "gauge", "lamp")]] = 1
    for part, first in FIRST.items():
        for number in range(MAX_OBJECTS if part == "slot" else K):
            out[first + number, [at("part", PARTS.index(part)), at("slot" if part == "slot" else "kind", number)]] = 1
    return out


def _beside(row: NDArray[np.float32], side: str, numbers: list[tuple[int, int]], other: int) -> None:
    """Say in `row` what stands on a side: object `other`; `numbers` are kind and colour from left to right."""
    if 0 <= other < len(numbers):
        row[at(f"{side}_kind", numbers[other][0])] = row[at(f"{side}_color", numbers[other][1])] = 1
    else:
        row[at(f"{side}_none")] = 1


def of(scene: Scene) -> NDArray[np.float32]:
    """The features [ROWS, FEATURES] of a scene."""
    if not scene.valid:
        out = np.zeros((ROWS, FEATURES), np.float32)
        out[:, at("invalid")] = 1
        return out
    out, things = fixed(), scene.objects
    out[0, at("count", len(things))] = 1
    numbers = [(KINDS.index(thing.kind), COLORS.index(thing.color)) for thing in things]
    for kind in range(K):
        color, left, right, place = (out[FIRST[part] + kind] for part in ("color", "left", "right", "place"))
        found = [index for index, (k, _) in enumerate(numbers) if k == kind]
        out[0, at("present", kind)] = bool(found)
        color[at("count", len(found))] = left[at("count", len(found))] = 1
        right[at("count", len(found))] = place[at("count", len(found))] = 1
        for order, index in enumerate(found):
            color[at(f"color{order + 1}", numbers[index][1])] = 1
        if len(found) == 1:
            x = things[found[0]].x
            place[at("third", 0 if x < LEFT_END else 2 if x > RIGHT_END else 1)] = 1
            _beside(left, "left", numbers, found[0] - 1)
            _beside(right, "right", numbers, found[0] + 1)
    for index, (kind, color1) in enumerate(numbers):
        slot = out[FIRST["slot"] + index]
        slot[[at("kind", kind), at("color1", color1)]] = 1
        _beside(slot, "left", numbers, index - 1)
        _beside(slot, "right", numbers, index + 1)
    out[-2, at("gauge", MAX_GAUGE + 1 if scene.gauge is None else scene.gauge)] = 1
    out[-1, at("lamp", len(LAMPS) if scene.lamp is None else LAMPS.index(scene.lamp))] = 1
    return out
