"""Voice activity: is there speech in this short frame?"""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pipelines import engine


class Detector(Protocol):
    """Stateful: one detector a stream of audio."""

    frame_samples: int  # at 16 kHz; exactly this many samples a call
    hangover_ms: int  # for so long at most it still reports speech after the last of it

    def speech(self, frame: NDArray[np.int16]) -> float:
        """Probability of speech in the frame, 0..1 (an engine that only decides returns 0.0 or 1.0)."""

    def reset(self) -> None:
        """Forget the stream so far."""


def load(name: str, options: Mapping[str, Any]) -> Detector:
    """A detector of the engine called ``name``. Raises EngineError."""
    return cast(Detector, engine.load("vad", name, options))
