"""The encoder's training pictures: letterboxed scenes and negatives with their targets, drawn once and kept on disk."""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pico import negatives
from models.pico.render import Image, letterbox, render
from models.pico.world import COLORS, KINDS, LAMPS, MAX_GAUGE, Scene, sample

SIZE = 160
CELLS = 10  # the encoder sees columns and rows of 16 pixels
NONE_KIND, NONE_LAMP, NONE_GAUGE = len(KINDS), len(LAMPS), MAX_GAUGE + 1
NEGATIVE_SHARE = 0.2
# int16: valid, gauge, lamp, gauge cell, lamp cell, then kind, colour and offset (in 1/1000) of each picture column
TARGETS = 5 + 3 * CELLS
NOWHERE = -100  # what cross_entropy ignores
CHUNK = 500


class Targets(NamedTuple):
    """One batch of truths; class numbers as int64, offsets as float32, NOWHERE where there is nothing to learn."""

    valid: NDArray[np.int64]  # [b]
    gauge: NDArray[np.int64]  # [b]
    lamp: NDArray[np.int64]  # [b]
    gauge_cell: NDArray[np.int64]  # [b] row-major cell of CELLS x CELLS
    lamp_cell: NDArray[np.int64]  # [b]
    kind: NDArray[np.int64]  # [b, CELLS]
    color: NDArray[np.int64]  # [b, CELLS]
    offset: NDArray[np.float32]  # [b, CELLS] within the column, 0..1


def targets_of(scene: Scene) -> NDArray[np.int16]:
    """The row of targets [TARGETS] of a scene as seen through the letterbox."""
    row = np.full(TARGETS, NOWHERE, np.int16)
    columns = row[5:].reshape(3, CELLS)
    row[0] = int(scene.valid)
    row[1] = NONE_GAUGE if scene.gauge is None else scene.gauge
    row[2] = NONE_LAMP if scene.lamp is None else LAMPS.index(scene.lamp)
    columns[0] = NONE_KIND
    width, height = scene.aspect
    longest = max(width, height)
    for index, at in ((3, scene.gauge_at), (4, scene.lamp_at)):
        if at is not None:
            x = 0.5 + (at[0] - 0.5) * width / longest
            y = 0.5 + (at[1] - 0.5) * height / longest
            row[index] = min(int(y * CELLS), CELLS - 1) * CELLS + min(int(x * CELLS), CELLS - 1)
    for thing in scene.objects:
        x = (0.5 + (thing.x - 0.5) * width / longest) * CELLS
        column = min(int(x), CELLS - 1)
        columns[:, column] = KINDS.index(thing.kind), COLORS.index(thing.color), round((x - column) * 1000)
    return row


def split(rows: NDArray[np.int16]) -> Targets:
    """Rows of targets [b, TARGETS] by name."""
    wide = rows.astype(np.int64)
    kind, color, offset = wide[:, 5:].reshape(-1, 3, CELLS).transpose(1, 0, 2)
    valid, gauge, lamp, gauge_cell, lamp_cell = wide[:, :5].T
    return Targets(valid, gauge, lamp, gauge_cell, lamp_cell, kind, color, offset.astype(np.float32) / 1000)


def one(seed: int) -> tuple[Image, Scene]:
    """Picture number `seed`: RGB bytes [SIZE, SIZE, 3] and its truth."""
    rng = np.random.default_rng(seed)
    if rng.random() < NEGATIVE_SHARE:
        return letterbox(negatives.make("any", rng)), Scene(valid=False)
    image, scene = render(sample(random.Random(seed)), rng)
    return letterbox(image), scene


def _chunk(first: int) -> tuple[Image, NDArray[np.int16]]:
    cv2.setNumThreads(1)
    pairs = [one(seed) for seed in range(first, first + CHUNK)]
    return np.stack([image for image, _ in pairs]), np.stack([targets_of(scene) for _, scene in pairs])


def build(folder: Path, seed: int, count: int, workers: int = 2) -> tuple[Image, NDArray[np.int16]]:
    """Pictures [count, SIZE, SIZE, 3] (a memory map) and target rows [count, TARGETS]; drawn if not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    images_path, rows_path = folder / f"images-{seed}-{count}.npy", folder / f"targets-{seed}-{count}.npy"
    if not rows_path.exists():
        images = np.lib.format.open_memmap(images_path, "w+", np.uint8, (count, SIZE, SIZE, 3))
        rows = np.empty((count, TARGETS), np.int16)
        with multiprocessing.Pool(workers) as pool:
            starts = range(0, count, CHUNK)
            for start, (pixels, chunk) in zip(starts, pool.imap(_chunk, [seed + s for s in starts]), strict=True):
                images[start : start + CHUNK], rows[start : start + CHUNK] = pixels, chunk
                print(f"pictures: {start + CHUNK}/{count}", flush=True)
        images.flush()
        np.save(rows_path, rows)
    return np.load(images_path, mmap_mode="r"), np.load(rows_path)
