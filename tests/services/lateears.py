"""A recognizer for tests that takes as long to load as its test wants, and says how much it heard."""

import time
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.asr import RATE, Recognition


class Options(engine.Options, frozen=True, kw_only=True):
    mark: str  # a file: it is loaded once this is there


class Engine:
    """See ``pipelines.asr.Recognizer``."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError where the file says so."""
        while not Path(options.mark).exists():
            time.sleep(0.01)
        if Path(options.mark).read_text():
            raise engine.EngineError("the ears are ill")

    def utterance(self, language: str = "") -> "Utterance":
        return Utterance()


class Utterance:
    """See ``pipelines.asr.Utterance``."""

    def __init__(self) -> None:
        self._samples = 0

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        self._samples += len(pcm)
        return None

    def so_far(self) -> Recognition | None:
        return None

    def finish(self) -> Recognition:
        return Recognition(text=f"{self._samples * 1000 // RATE} ms", language="en")
