"""Image encoding: one picture in, the rows that stand for it in a language model's prompt out."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.npu.lock import Figures, Rank


class Encoding(msgspec.Struct, frozen=True):
    """An encoded picture. ``rows`` is float32 [tokens, width]; ``grid`` the tiles (rows, columns), (0, 0) unsplit."""

    rows: NDArray[np.float32]
    grid: tuple[int, int] = (0, 0)
    npu: Figures | None = None  # what its possession cost; None: without an NPU


class Encoder(Protocol):
    width: int  # floats a row: must equal the language model's embedding width

    def encode(self, picture: NDArray[np.uint8], rank: Rank = Rank.USER_WAITS) -> Encoding:
        """Encode one picture, RGB uint8 [height, width, 3] of any size. ``rank``: whose turn it is where several wait
        for an NPU; without one it makes no difference. Raises EngineError on a failed run."""


def load(name: str, options: Mapping[str, Any]) -> Encoder:
    """The image encoder called ``name``, warmed up. Raises EngineError."""
    return cast(Encoder, engine.load("vision", name, options))
