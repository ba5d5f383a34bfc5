# mypy: allow-subclassing-any, allow-untyped-decorators, no-warn-return-any
# torch is not installed where types are checked, so its classes are of no known type there.
"""The picture encoder: a small convolutional network with a head for each thing that is true of a scene."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.pico.pictures import CELLS, NONE_GAUGE, NONE_KIND, NONE_LAMP, NOWHERE, Targets, split
from models.pico.render import Image
from models.pico.world import COLORS

MEAN, STD = 0.5, 0.25


class Heads(NamedTuple):
    """Raw scores (logits) unless said otherwise; b pictures."""

    valid: Tensor  # [b]
    gauge: Tensor  # [b, NONE_GAUGE + 1]
    lamp: Tensor  # [b, NONE_LAMP + 1]
    gauge_cell: Tensor  # [b, CELLS * CELLS]
    lamp_cell: Tensor  # [b, CELLS * CELLS]
    kind: Tensor  # [b, CELLS, NONE_KIND + 1]
    color: Tensor  # [b, CELLS, colours]
    offset: Tensor  # [b, CELLS] place within the column, 0..1


def conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        nn.init.constant_(self.second[1].weight, 0.2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class Encoder(nn.Module):
    """pixel_values [b, 3, 160, 160] -> Heads. Stride 16: CELLS x CELLS cells of features."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 16, 2), conv(16, 32, 2), Residual(32), conv(32, 64, 2), Residual(64),
            conv(64, width, 2), Residual(width), Residual(width),
        )  # fmt: skip
        # Objects stand side by side, so a column of the picture holds at most one: the height is folded away.
        self.column = nn.Sequential(
            nn.Conv2d(width, 160, (CELLS, 3), padding=(0, 1), bias=False), nn.BatchNorm2d(160), nn.ReLU()
        )
        self.objects = nn.Conv1d(160, NONE_KIND + 1 + len(COLORS) + 1, 1)
        self.spots = nn.Conv2d(width, 2, 1)
        self.gauge = nn.Sequential(nn.Linear(width, 96), nn.ReLU(), nn.Linear(96, NONE_GAUGE + 1))
        self.lamp = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, NONE_LAMP + 1))
        self.valid = nn.Sequential(nn.Linear(2 * width, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, pixel_values: Tensor) -> Heads:
        cells: Tensor = self.body(pixel_values)
        flat = cells.flatten(2)  # [b, width, cells]
        spots = self.spots(cells).flatten(2)  # [b, 2, cells]: how much each cell looks like the gauge, the lamp
        seen = torch.softmax(spots, 2) @ flat.transpose(1, 2)  # [b, 2, width]
        strip = self.objects(self.column(cells).squeeze(2)).transpose(1, 2)  # [b, CELLS, heads]
        kind, color, offset = strip.split((NONE_KIND + 1, len(COLORS), 1), 2)
        overall = torch.cat((flat.amax(2), flat.mean(2)), 1)
        return Heads(
            self.valid(overall).squeeze(1), self.gauge(seen[:, 0]), self.lamp(seen[:, 1]), spots[:, 0], spots[:, 1],
            kind, color, torch.sigmoid(offset.squeeze(2)),
        )  # fmt: skip


def loss_of(heads: Heads, truth: Targets, none_weight: float) -> Tensor:
    """The sum of what each head is wrong about. `none_weight`: what an empty column counts against a filled one."""
    to = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in truth._asdict().items()}
    valid = to["valid"].float()
    weight = torch.ones(NONE_KIND + 1)
    weight[NONE_KIND] = none_weight
    kind = F.cross_entropy(heads.kind.flatten(0, 1), to["kind"].flatten(), weight, label_smoothing=0.02)
    filled = to["color"] != NOWHERE
    color = F.cross_entropy(heads.color[filled], to["color"][filled], label_smoothing=0.02)
    offset = (heads.offset - to["offset"])[filled].abs().mean()
    scene = valid > 0
    gauge = F.cross_entropy(heads.gauge[scene], to["gauge"][scene], label_smoothing=0.02)
    lamp = F.cross_entropy(heads.lamp[scene], to["lamp"][scene], label_smoothing=0.02)
    spots = F.cross_entropy(heads.gauge_cell, to["gauge_cell"], ignore_index=NOWHERE)
    spots = spots + F.cross_entropy(heads.lamp_cell, to["lamp_cell"], ignore_index=NOWHERE)
    return kind + color + offset + gauge + lamp + 0.3 * spots + F.binary_cross_entropy_with_logits(heads.valid, valid)


def prepare(images: Image) -> Tensor:
    """RGB bytes [b, 160, 160, 3] -> pixel_values [b, 3, 160, 160], channels last in memory."""
    pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)
    return ((pixels.float() / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def score(model: Encoder, images: Image, rows: NDArray[np.int16]) -> dict[str, float]:
    """The share of right answers of each head, and of whole scenes in which nothing is wrong."""
    model.eval()
    right: dict[str, list[NDArray[np.bool_]]] = {}
    for start in range(0, len(images), 250):
        heads, truth = model(prepare(images[start : start + 250])), split(rows[start : start + 250])
        scene, filled = truth.valid > 0, truth.color != NOWHERE
        kind = heads.kind.argmax(2).numpy() == truth.kind
        color = (heads.color.argmax(2).numpy() == truth.color) | ~filled
        found = {
            "valid": (heads.valid.numpy() > 0) == scene,
            "gauge": (heads.gauge.argmax(1).numpy() == truth.gauge)[scene],
            "lamp": (heads.lamp.argmax(1).numpy() == truth.lamp)[scene],
            "kind": kind[filled],
            "empty": kind[scene][~filled[scene]],
            "color": color[filled],
            "objects": (kind & color).all(1)[scene],
        }
        for name, values in found.items():
            right.setdefault(name, []).append(values)
    model.train()
    return {name: round(100 * float(np.concatenate(values).mean()), 2) for name, values in right.items()}


def train(
    images: Image,
    rows: NDArray[np.int16],
    held_out: tuple[Image, NDArray[np.int16]],
    minutes: float,
    path: Path,
    seed: int,
) -> Encoder:
    """Train from nothing for `minutes` (the learning rate follows the clock); resumes from `path` where that exists."""
    torch.manual_seed(seed)
    model = Encoder().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.03)
    spent, step = 0.0, 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        spent, step = saved["spent"], saved["step"]
    rng = np.random.default_rng(seed + step)
    last, told, total = time.monotonic(), spent, 0.0
    while spent < minutes * 60:
        share = spent / (minutes * 60)
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-5
        chosen = np.sort(rng.choice(len(images), 64, replace=False))
        pixels = prepare(images[chosen])
        gain = torch.rand(64, 1, 1, 1) * 0.3 + 0.85
        pixels = pixels * gain + (torch.rand(64, 3, 1, 1) - 0.5) * 0.3
        loss = loss_of(model(pixels), split(rows[chosen]), 0.3 if share < 0.6 else 0.6)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step += 1
        total = 0.95 * total + 0.05 * loss.item() if step > 1 else loss.item()
        now = time.monotonic()
        spent, last = spent + now - last, now
        if spent - told > 90 or spent >= minutes * 60:
            shares = score(model, *held_out)
            print(f"encoder: {spent / 60:.1f} min, step {step}, loss {total:.3f}, held out {shares}", flush=True)
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "spent": spent, "step": step}
            torch.save(state, path.with_suffix(".tmp"))
            path.with_suffix(".tmp").replace(path)
            told, last = spent, time.monotonic()
    return model.eval()
