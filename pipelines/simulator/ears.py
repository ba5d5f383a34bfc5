"""Another recognizer, as slow as it would be on a board: the real work is done here, the rest of the time waited."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines import asr, engine
from pipelines.asr import RATE, Recognition
from pipelines.simulator import timings
from pipelines.simulator.pacing import Options, named

WHISPERS = ("tiny", "base", "small")


class Engine:
    """See ``pipelines.asr.Recognizer``. An engine of which no figures are known keeps this machine's pace."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises what the wrapped engine raises."""
        self._inner = asr.load(options.engine, options.options)
        its = engine.name_of(self._inner)
        self.kind = kind(its, options.of(its))
        self._ears = timings.EARS.get((options.board, self.kind))
        self._slowness = options.slowness
        self.name = named(its, self.kind, options.board, self._ears.told if self._ears else "")

    def utterance(self) -> asr.Utterance:
        inner = self._inner.utterance()
        return inner if self._ears is None else Utterance(inner, self._ears, self._slowness)


class Utterance:
    """See ``pipelines.asr.Utterance``."""

    def __init__(self, inner: asr.Utterance, ears: timings.Ears, slowness: float) -> None:
        self._inner, self._ears, self._slowness = inner, ears, slowness
        self._heard_s = self._spent_s = 0.0  # of speech; of work on it, that which was waited for included

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        began = time.perf_counter()
        text = self._inner.feed(pcm)
        self._heard_s += len(pcm) / RATE
        if self._ears.streaming:
            self._spend(began, self._heard_s * self._ears.per_second_ms)
        return text

    def finish(self) -> Recognition:
        began = time.perf_counter()
        result = self._inner.finish()
        self._spend(began, self._ears.fixed_ms + self._heard_s * self._ears.per_second_ms)
        return result

    def _spend(self, began: float, due_ms: float) -> None:
        """Until so much was spent on the utterance in all."""
        self._spent_s += time.perf_counter() - began
        left = due_ms / 1000 * self._slowness - self._spent_s
        if left > 0:
            time.sleep(left)
            self._spent_s += left


def kind(name: str, options: Mapping[str, Any]) -> str:
    """What the engine's work is called in timings.EARS."""
    model = Path(str(options.get("model", ""))).expanduser()
    if name == "sherpa_onnx":
        return "zipformer" if any(model.glob("joiner*")) else "sense-voice"
    if name == "faster_whisper":
        return next((f"whisper-{size}" for size in WHISPERS if size in model.name), "whisper")
    return name
