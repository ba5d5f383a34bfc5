"""No image encoder: for language models that take pictures themselves (a server), or none at all."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.npu.lock import Rank
from pipelines.vision import Encoding


class Options(engine.Options, frozen=True, kw_only=True):
    """There is nothing to set."""


class Engine:
    """See ``pipelines.vision.Encoder``. Its width of 0 says that there are no rows: the picture itself is sent on."""

    Options: TypeAlias = Options
    width = 0

    def __init__(self, options: Options) -> None:
        """Nothing is loaded."""

    def encode(self, picture: NDArray[np.uint8], rank: Rank = Rank.USER_WAITS) -> Encoding:
        """No rows, float32 [0, 0]."""
        return Encoding(np.zeros((0, 0), np.float32))
