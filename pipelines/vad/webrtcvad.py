"""WebRTC's voice activity detector (BSD; wheel ``webrtcvad-wheels``): a decision a frame in a few microseconds.

Good down to about 14 dB of noise; below that everything is speech to it. It holds on for a while after a word.
In the first 200 ms of a stream it reports no speech; a pre-roll keeps what was said in them.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine

RATE = 16_000  # Hz
SETTLING = RATE * 200 // 1000  # samples: until it knows the noise, it takes the first sound of a stream for speech


class Options(engine.Options, frozen=True, kw_only=True):
    aggressiveness: Annotated[int, msgspec.Meta(ge=0, le=3)] = 2  # 0 hears most, 3 takes least for speech
    frame_ms: Literal[10, 20, 30] = 20  # the only lengths that it can judge


class Engine:
    """See ``pipelines.vad.Detector``. ``speech`` returns 0.0 or 1.0."""

    Options: TypeAlias = Options
    hangover_ms = 240  # on tests/speech 70 to 210 in quiet; less in noise, where fewer frames are speech to it

    def __init__(self, options: Options) -> None:
        import webrtcvad

        self._options = options
        self._new = webrtcvad.Vad
        self.frame_samples = RATE * options.frame_ms // 1000
        self.reset()

    def speech(self, frame: NDArray[np.int16]) -> float:
        """1.0 if the frame, int16 [frame_samples] at 16 kHz, holds speech. Raises EngineError for another length."""
        if len(frame) != self.frame_samples:
            raise engine.EngineError(f"the vad engine takes {self.frame_samples} samples a frame, not {len(frame)}")
        speech = self._vad.is_speech(frame.tobytes(), RATE)
        self._heard += len(frame)
        return float(speech and self._heard > SETTLING)

    def reset(self) -> None:
        self._vad = self._new(self._options.aggressiveness)  # it has no reset of its own
        self._heard = 0  # samples of this stream
