"""Silero's voice activity detector: a small recurrent network, far better in noise than webrtcvad.

Runs on: onnxruntime (MIT), one thread. Needs: the file ``silero_vad_v6.onnx`` (MIT, https://github.com/snakers4/silero-vad)
as it lies in the wheel of faster-whisper, which is found but not imported; or the same file elsewhere, by ``model``.
Costs 0.2 ms a frame of 32 ms on one x86-64 core.
"""

import importlib.util
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines import engine, onnxfile

FRAME = 512  # samples at 16 kHz, 32 ms: the only length that the network knows
CONTEXT = 64  # samples of the frame before, which it wants in front of each frame
STATE = (1, 1, 128)  # of each of its two recurrent states
INPUTS = {"input", "h", "c"}


class Options(engine.Options, frozen=True, kw_only=True):
    model: str = ""  # path of the .onnx file; "" takes the one in faster-whisper's wheel


class Engine:
    """See ``pipelines.vad.Detector``."""

    Options: TypeAlias = Options
    hangover_ms = 100  # on tests/speech at most 98
    extra = "faster-whisper"

    def __init__(self, options: Options) -> None:
        """Raises EngineError where the file is missing or no Silero network of this form."""
        path = Path(options.model).expanduser() if options.model else bundled()
        self._session = onnxfile.session(path, threads=1)
        inputs = {given.name for given in self._session.get_inputs()}
        if inputs != INPUTS:
            raise engine.EngineError(
                f"{path} is no Silero network of the form in faster-whisper's wheel: its inputs are "
                f"{', '.join(sorted(inputs))} and not {', '.join(sorted(INPUTS))}; leave out the option 'model'"
            )
        self.frame_samples = FRAME
        self.reset()

    def reset(self) -> None:
        self._h = np.zeros(STATE, np.float32)
        self._c = np.zeros(STATE, np.float32)
        self._context = np.zeros(CONTEXT, np.float32)

    def speech(self, frame: NDArray[np.int16]) -> float:
        """Probability of speech in the frame, int16 [512] at 16 kHz. Raises EngineError for another length."""
        if len(frame) != FRAME:
            raise engine.EngineError(f"the vad engine 'silero' takes {FRAME} samples a frame, not {len(frame)}")
        samples = frame.astype(np.float32) / np.float32(32768)
        given = {"input": np.concatenate([self._context, samples])[None], "h": self._h, "c": self._c}
        probability, self._h, self._c = self._session.run(None, given)
        self._context = samples[-CONTEXT:]
        return float(probability.squeeze())


def bundled() -> Path:
    """The file in faster-whisper's wheel, found without importing it (that would cost 50 MB). Raises EngineError."""
    spec = importlib.util.find_spec("faster_whisper")
    for folder in spec.submodule_search_locations or () if spec else ():
        found = sorted(Path(folder, "assets").glob("silero_vad_v*.onnx"))
        if found:
            return found[-1]
    mend = "pip install 'edge-assistant[faster-whisper]', or name a file with the option 'model'"
    raise engine.EngineError(f"the vad engine 'silero' needs silero_vad_v6.onnx from faster-whisper's wheel: {mend}")
