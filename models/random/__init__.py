"""Models with random weights in the true sizes of published ones: what they cost is real, what they say is not.

Made with numpy, onnx and CTranslate2 in seconds; nothing is downloaded. ``assistant bench cpu`` measures them.
"""

import zlib

import numpy as np
from numpy.typing import NDArray


class Numbers:
    """Random weights by name: whoever asks for the same name and shape gets the same ones, in any order."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def draw(self, name: str, *shape: int, scale: float = 0.0) -> NDArray[np.float32]:
        """Normally distributed float32 [shape]; ``scale`` 0 stands for 1 / sqrt(last dimension)."""
        random = np.random.default_rng([self._seed, zlib.crc32(name.encode())])
        found = random.standard_normal(shape, np.float32)
        found *= np.float32(scale or shape[-1] ** -0.5)
        return found
