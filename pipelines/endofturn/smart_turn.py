"""Smart Turn v3 (https://github.com/pipecat-ai/smart-turn, BSD-2-Clause): hears by melody and pace who has finished.

Runs on: onnxruntime (MIT), one thread that does not spin. Needs: smart-turn-v3.2-cpu.onnx (8.7 MB; v3.0 and v3.1 have
the same form), a Whisper tiny encoder with a small head, trained on 23 languages, Chinese and English among them.

It was trained on people. Synthetic voices, whose melody falls at the end of whatever they are given, are beyond it: of
69 fragments and cut sentences spoken by flite it takes 45 for finished ones. So never let it speak for itself where
there are words (assistant/core/completeness.py), and do not choose a threshold for it on such voices.
"""

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine, onnxfile
from pipelines.endofturn._logmel import BANDS, RATE, STEP, log_mel

SAMPLES = 8 * RATE  # what it looks at: the last of it, with silence in front where there is less
INPUT, SHAPE = "input_features", (BANDS, SAMPLES // STEP)


class Options(engine.Options, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(min_length=1)]  # path of the .onnx file: assistant models pull smart-turn-v3.2


class Engine:
    """See ``pipelines.endofturn.Detector``. 0.5 and more is "complete" to who trained it."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError where the file is missing, damaged, or no Smart Turn network of this form."""
        self._path = Path(options.model).expanduser()
        self._session = onnxfile.session(self._path, threads=1)
        found = {given.name: tuple(given.shape[1:]) for given in self._session.get_inputs()}
        if found != {INPUT: SHAPE}:
            shown = ", ".join(f"{name} {list(shape)}" for name, shape in found.items()) or "none"
            raise engine.EngineError(
                f"{self._path} is no Smart Turn v3 network: its inputs are {shown} and not {INPUT} {list(SHAPE)}; "
                "assistant models pull smart-turn-v3.2"
            )
        self.complete(np.zeros(0, np.int16))  # what comes out of it is right too, and the first time costs the most

    def complete(self, tail: NDArray[np.int16]) -> float:
        """See the protocol. Raises EngineError."""
        try:
            out = np.asarray(self._session.run(None, {INPUT: features(tail)[None]})[0])
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            brief = (str(error).splitlines() or ["no reason given"])[0][:200]
            raise engine.EngineError(f"{self._path} does not work: {brief}") from error
        if out.size != 1 or not 0 <= float(out.reshape(-1)[0]) <= 1:
            raise engine.EngineError(f"{self._path} gives {out.reshape(-1)[:4]}: no probability, so no Smart Turn v3")
        return float(out.reshape(-1)[0])


def features(tail: NDArray[np.int16]) -> NDArray[np.float32]:
    """What the network is shown of the last 8 s, float32 [80, 800]: made as loud as all else first, as it learnt it."""
    sound = np.zeros(SAMPLES, np.float32)
    last = tail[-SAMPLES:]
    sound[SAMPLES - len(last) :] = last / np.float32(32768)
    return log_mel((sound - sound.mean()) / np.sqrt(sound.var() + np.float32(1e-7)))
