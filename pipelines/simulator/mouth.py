"""Another voice, as slow as it would be on a board: the real work is done here, the rest of the time waited."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pipelines import engine, tts
from pipelines.simulator import timings
from pipelines.simulator.pacing import Options, named


class Engine:
    """See ``pipelines.tts.Voice``. An engine of which no figures are known keeps this machine's pace."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises what the wrapped engine raises."""
        self._inner = tts.load(options.engine, options.options)
        self.rate = self._inner.rate
        its = engine.name_of(self._inner)
        self.kind = kind(its, options.of(its))
        self._mouth = timings.MOUTHS.get((options.board, self.kind))
        self._slowness = options.slowness
        self.name = named(its, self.kind, options.board, self._mouth.told if self._mouth else "")

    def speak(self, text: str, language: str = "") -> Iterator[tts.Chunk]:
        """A chunk comes when the board would have made it. Raises what the wrapped engine raises."""
        began, spoken = time.perf_counter(), 0
        for chunk in self._inner.speak(text, language):
            spoken += len(chunk.pcm)
            if self._mouth is not None:
                due_ms = max(self._mouth.first_ms, spoken / self.rate * self._mouth.per_second_ms)
                left = due_ms / 1000 * self._slowness - (time.perf_counter() - began)
                if left > 0:
                    time.sleep(left)
            yield chunk


def kind(name: str, options: Mapping[str, Any]) -> str:
    """What the engine's work is called in timings.MOUTHS; a VITS voice of sherpa-onnx is of piper's size."""
    if name != "sherpa_onnx":
        return name
    model = Path(str(options.get("model", ""))).expanduser()
    if (model / "voices.bin").is_file():
        return "kokoro"
    return "matcha" if "matcha" in model.name or any(model.glob("model-steps*")) else "piper"
