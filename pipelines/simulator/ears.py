"""Another recognizer, as slow as it would be on a board: the real work is done here, the rest of the time waited."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

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

    def utterance(self, language: str = "") -> asr.Utterance:
        inner = self._inner.utterance()
        return inner if self._ears is None else Utterance(inner, self._ears, self._slowness)


@runtime_checkable
class Sparing(Protocol):
    """An utterance of which less is decoded than was fed."""

    @property
    def decoded_s(self) -> float:
        """Seconds of sound that the newest result was decoded from."""


class Utterance:
    """See ``pipelines.asr.Utterance``."""

    def __init__(self, inner: asr.Utterance, ears: timings.Ears, slowness: float) -> None:
        self._inner, self._ears, self._slowness = inner, ears, slowness
        self._heard_s = 0.0  # of speech
        self._spent_s = self._due_ms = 0.0  # work on it, that which was waited for included; what the board would need
        self._known = False  # what there is was recognised, and nothing was fed since

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        began = time.perf_counter()
        text = self._inner.feed(pcm)
        self._heard_s += len(pcm) / RATE
        self._known = False
        if self._ears.streaming:
            self._due_ms += len(pcm) / RATE * self._ears.per_second_ms
            self._spend(began)
        return text

    def so_far(self) -> Recognition | None:
        """See the protocol: what does not stream begins from the start each time, unless it was fed nothing since."""
        began = time.perf_counter()
        result = self._inner.so_far()
        if result is not None:
            self._recognised(began)
        return result

    def finish(self) -> Recognition:
        began = time.perf_counter()
        result = self._inner.finish()
        self._recognised(began)
        return result

    def _recognised(self, began: float) -> None:
        if not self._known:
            self._due_ms += self._ears.fixed_ms
            decoded_s = self._inner.decoded_s if isinstance(self._inner, Sparing) else self._heard_s
            self._due_ms += 0.0 if self._ears.streaming else decoded_s * self._ears.per_second_ms
        self._known = True
        self._spend(began)

    def _spend(self, began: float) -> None:
        """Until so much was spent on the utterance in all."""
        self._spent_s += time.perf_counter() - began
        left = self._due_ms / 1000 * self._slowness - self._spent_s
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
