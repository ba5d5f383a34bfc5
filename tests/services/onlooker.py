"""An image encoder for tests that notes whose turn it was for what it encoded, and loads when it is told to."""

import threading
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.npu.lock import Rank
from pipelines.vision import Encoding


class Options(engine.Options, frozen=True, kw_only=True):
    log: str  # a file that gets a line for each picture: its rank and its brightness
    loads: str = ""  # a file that it waits for when it is loaded
    goes_on: str = ""  # a file that each picture waits for


class Engine:
    """See ``pipelines.vision.Encoder``."""

    Options: TypeAlias = Options
    width = 4

    def __init__(self, options: Options) -> None:
        self._log, self._goes_on = Path(options.log), options.goes_on
        _await(options.loads)

    def encode(self, picture: NDArray[np.uint8], rank: Rank = Rank.USER_WAITS) -> Encoding:
        with self._log.open("a") as log:
            log.write(f"{rank.name} {round(float(picture.mean()))}\n")
        _await(self._goes_on)
        return Encoding(np.full((2, 4), picture.mean(), np.float32))


def _await(path: str) -> None:
    while path and not Path(path).exists():
        threading.Event().wait(0.01)
