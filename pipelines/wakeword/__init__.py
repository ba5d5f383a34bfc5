"""Wake words: was one of a few phrases just said in this stream of sound, and where did it end?"""

import logging
from collections.abc import Mapping
from typing import Any, Protocol, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine

log = logging.getLogger(__name__)
RATE = 16_000  # Hz of everything that is fed


class Detection(msgspec.Struct, frozen=True):
    """A phrase was said. ``score`` 0..1: how sure; ``end``: where it ends, in samples since the stream began or was
    reset. An engine that does not know the end exactly tells an earlier one: what is cut off there must never be the
    first word of the question. ``sure``: by then it had ended, where that is later."""

    phrase: str
    score: float
    end: int
    sure: int = 0


class Spotter(Protocol):
    """Stateful: one spotter a stream of audio."""

    phrases: tuple[str, ...]  # as they may stand in a text, to be cut off there

    def feed(self, pcm: NDArray[np.int16]) -> list[Detection]:
        """The next samples, int16 mono at 16 kHz, any number of them; what ended in them or shortly before, oldest
        first. Raises EngineError when the model fails."""

    def reset(self) -> None:
        """Forget the stream so far; the next sample is number 0."""


def load(name: str, options: Mapping[str, Any]) -> Spotter:
    """A spotter of the engine called ``name``; ``auto`` takes the best whose table is in order, with that table's
    phrases: what is installed may decide what is listened for, and it is logged. Raises EngineError."""
    spotter = cast(Spotter, engine.load("wakeword", name, options))
    log.info("wakeword: %s listens for %s", engine.name_of(spotter), ", ".join(map(repr, spotter.phrases)))
    return spotter
