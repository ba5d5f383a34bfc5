"""The end of a turn, by how it sounds: does the speaker leave the word to another, or only seek one?"""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pipelines import engine


class Detector(Protocol):
    """Stateless, but not for several threads at once."""

    def complete(self, tail: NDArray[np.int16]) -> float:
        """How likely it is, 0..1, that the speaker is done. ``tail``: the last seconds of what was said with the pause
        after it, int16 [samples] at 16 kHz, as many as there are. Raises EngineError."""


def load(name: str, options: Mapping[str, Any]) -> Detector | None:
    """A detector of the engine called ``name``; None where that engine is "none", or ``auto`` finds no other one.
    Raises EngineError."""
    found = engine.load("endofturn", name, options)
    return None if engine.name_of(found) == "none" else cast(Detector, found)
