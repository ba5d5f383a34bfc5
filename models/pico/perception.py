# mypy: allow-subclassing-any
# torch is not installed where types are checked, so its classes are of no known type there.
"""From the encoder's scores to the features of `vectors`, by comparing and multiplying only, which ONNX can express.

Every decision is hard: a half-believed object would be half-answered.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.pico import vectors
from models.pico.decoder import Projector
from models.pico.encoder import Encoder, Heads
from models.pico.pictures import CELLS, NONE_KIND
from models.pico.world import LEFT_END, MAX_OBJECTS, RIGHT_END

# A column holds an object from this certainty on; of two that are nearer than this only the surer one counts.
CERTAIN, NEAR = 0.4, 0.1


def _best(scores: Tensor) -> Tensor:
    """1 at the highest score along the last axis, 0 elsewhere."""
    return (scores >= scores.amax(-1, keepdim=True)).float()


def _equals(counts: Tensor, first: int, last: int) -> Tensor:
    """One feature for each whole number from `first` to `last`: [..] -> [.., last - first + 1]."""
    return ((counts.unsqueeze(-1) - torch.arange(first, last + 1).float()).abs() < 0.5).float()


def _rows(block: Tensor, first: int) -> Tensor:
    """Place a block [b, r, f] at rows `first` .. `first` + r of [b, ROWS, f]."""
    return F.pad(block, (0, 0, first, vectors.ROWS - first - block.shape[1]))


def features(heads: Heads) -> Tensor:
    """Scores of b pictures -> [b, ROWS, FEATURES]."""
    each = torch.ones_like(heads.valid)[:, None, None]  # [b, 1, 1]
    some = 1 - torch.softmax(heads.kind, 2)[..., NONE_KIND]  # [b, CELLS]
    x = (heads.offset + torch.arange(CELLS).float()) / CELLS
    close = (x.unsqueeze(2) - x.unsqueeze(1)).abs() < NEAR
    surer = some.unsqueeze(1) > some.unsqueeze(2)  # [b, this, other]
    keep = (some > CERTAIN).float() * (1 - (close & surer).float().amax(2))
    rank = keep @ torch.triu(torch.ones(CELLS, CELLS), 1)  # kept columns to the left
    slots = _equals(rank, 0, MAX_OBJECTS - 1).transpose(1, 2) * keep.unsqueeze(1)  # [b, 4, CELLS]
    kind, color = slots @ _best(heads.kind[..., :NONE_KIND]), slots @ _best(heads.color)
    place = (slots * x.unsqueeze(1)).sum(2)  # [b, 4]
    filled = slots.sum(2, keepdim=True)  # [b, 4, 1]
    number = filled.sum(1)  # [b, 1]
    by_kind = kind.transpose(1, 2)  # [b, kinds, 4]
    order = by_kind @ torch.triu(torch.ones(MAX_OBJECTS, MAX_OBJECTS)) * by_kind  # which one of its kind, from 1
    count = by_kind.sum(2)  # [b, kinds]
    only = by_kind * _equals(count, 1, 1)
    shift = torch.diag(torch.ones(MAX_OBJECTS - 1), -1)  # row s takes s - 1
    back = shift.transpose(0, 1)
    first = torch.zeros(MAX_OBJECTS, 1)
    first[0] = 1
    around = {
        "left_kind": shift @ kind * filled,
        "left_color": shift @ color * filled,
        "left_none": first * filled,
        "right_kind": back @ kind,
        "right_color": back @ color,
        "right_none": filled - back @ filled,
    }
    left, right = (place < LEFT_END).float(), (place > RIGHT_END).float()
    thirds = torch.stack((left, 1 - left - right, right), 2)
    slot, many = vectors.FIRST["slot"], _equals(count, 0, MAX_OBJECTS)

    def at(part: str, block: Tensor) -> Tensor:
        return _rows(block, vectors.FIRST[part])

    blocks = {
        "kind": _rows(kind, slot),
        "color1": at("color", _equals(order, 1, 1).squeeze(3) @ color) + _rows(color, slot),
        **{f"color{n}": at("color", _equals(order, n, n).squeeze(3) @ color) for n in range(2, MAX_OBJECTS + 1)},
        "count": _rows(_equals(number, 0, MAX_OBJECTS), 0) + _rows(torch.cat((many, many, many, many), 1), 1),
        **{name: at(name.split("_")[0], only @ beside) + _rows(beside, slot) for name, beside in around.items()},
        "third": at("place", only @ thirds),
        "present": _rows((count > 0.5).float().unsqueeze(1), 0),
        "gauge": _rows(_best(heads.gauge).unsqueeze(1), vectors.ROWS - 2),
        "lamp": _rows(_best(heads.lamp).unsqueeze(1), vectors.ROWS - 1),
    }
    empty = {name: torch.zeros(vectors.ROWS, span.stop - span.start) * each for name, span in vectors.BLOCKS.items()}
    valid = (heads.valid > 0).float()[:, None, None]
    seen = torch.cat([blocks.get(name, empty[name]) for name in vectors.BLOCKS], 2) + torch.from_numpy(vectors.fixed())
    nothing = torch.zeros(1, vectors.ROWS, vectors.FEATURES)
    nothing[..., vectors.at("invalid")] = 1
    return seen * valid + nothing * (1 - valid)


class VisionEncoder(nn.Module):
    """pixel_values [b, 3, 160, 160] -> image_features [b, ROWS, WIDTH]: the exported picture side."""

    def __init__(self, encoder: Encoder, projector: Projector, embedding: Tensor) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector
        # The projector needs the embedding to be built, not to be run: what is left of both is one small matrix.
        self.register_buffer("matrix", projector.matrix(embedding).detach())

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.projector.mark(features(self.encoder(pixel_values)) @ self.matrix)
