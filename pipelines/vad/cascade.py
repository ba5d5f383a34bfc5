"""A cheap gate, and behind it Silero: silence costs microseconds, and what is heard is judged by the better network.

Runs on: plain arithmetic or webrtcvad (BSD) for the gate, onnxruntime (MIT) for Silero (MIT; see ``silero``). While the
gate is shut Silero sleeps and the answer is 0.0; when it opens, Silero first hears the last quarter of a second, so
that it does not judge a beginning without what came before. This is not only cheaper: a network that listens to
minutes of noise grows dull and notices speech late; one that sleeps through them stays awake (figures:
tests/bench/vad.py).
"""

from collections import deque
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.vad import silero, webrtcvad

BEFORE = 8  # frames of 32 ms that Silero hears once more when the gate opens
GATE_FRAME = 160  # samples, 10 ms: the shortest that webrtcvad judges


class Options(engine.Options, frozen=True, kw_only=True):
    gate: Literal["energy", "webrtcvad"] = "energy"
    margin_db: Annotated[float, msgspec.Meta(ge=0, le=40)] = 4.0  # energy: opens this far above the noise floor
    aggressiveness: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1  # of webrtcvad: a gate should rather open too often
    hold_ms: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 640  # stays open so long after the gate last saw a reason
    model: str = ""  # see silero


class Engine:
    """See ``pipelines.vad.Detector``."""

    Options: TypeAlias = Options
    hangover_ms = silero.Engine.hangover_ms
    extra = silero.Engine.extra

    def __init__(self, options: Options) -> None:
        """Raises EngineError as ``silero`` does."""
        self._options = options
        self._silero = silero.Engine(silero.Options(model=options.model))
        self._gate: _Energy | _Webrtc
        self._gate = _Energy(options.margin_db) if options.gate == "energy" else _Webrtc(options.aggressiveness)
        self.frame_samples = silero.FRAME
        self._hold = -(-options.hold_ms * 16 // silero.FRAME)  # frames, rounded up
        self.reset()

    def reset(self) -> None:
        self._silero.reset()
        self._gate.reset()
        self._before: deque[NDArray[np.int16]] = deque(maxlen=BEFORE)
        self._open = 0  # frames that the gate still stays open

    def speech(self, frame: NDArray[np.int16]) -> float:
        """Probability of speech in the frame, int16 [512] at 16 kHz; 0.0 while the gate is shut. Raises EngineError."""
        if len(frame) != silero.FRAME:
            raise engine.EngineError(f"the vad engine 'cascade' takes {silero.FRAME} samples a frame, not {len(frame)}")
        was_shut = self._open == 0
        self._open = self._hold + 1 if self._gate.opens(frame) else max(0, self._open - 1)
        if not self._open:
            self._before.append(frame.copy())
            return 0.0
        if was_shut:
            for earlier in self._before:
                self._silero.speech(earlier)
            self._before.clear()
        return self._silero.speech(frame)


class _Webrtc:
    """Opens when any 10 ms of the frame is speech to webrtcvad; what does not fill 10 ms waits for the next frame."""

    def __init__(self, aggressiveness: int) -> None:
        self._vad = webrtcvad.Engine(webrtcvad.Options(aggressiveness=aggressiveness, frame_ms=10))
        self.reset()

    def reset(self) -> None:
        self._vad.reset()
        self._rest = np.zeros(0, np.int16)

    def opens(self, frame: NDArray[np.int16]) -> bool:
        samples = np.concatenate([self._rest, frame])
        whole = len(samples) // GATE_FRAME * GATE_FRAME
        self._rest = samples[whole:]
        # every piece is judged, none skipped: the detector learns the noise from all of them
        return max([self._vad.speech(piece) for piece in samples[:whole].reshape(-1, GATE_FRAME)]) > 0


class _Energy:
    """Opens when the frame is louder than the noise floor by a margin. The floor falls at once and rises 3 dB/s."""

    RISE = 3.0 * silero.FRAME / 16_000  # dB a frame
    QUIETEST = -70.0  # dBFS: below this nothing opens, however quiet the room

    def __init__(self, margin_db: float) -> None:
        self._margin = margin_db
        self.reset()

    def reset(self) -> None:
        self._floor: float | None = None

    def opens(self, frame: NDArray[np.int16]) -> bool:
        power = float(np.mean(np.square(frame, dtype=np.float64))) / 32768.0**2
        level = 10.0 * np.log10(max(power, 1e-12))
        self._floor = level if self._floor is None else min(level, self._floor + self.RISE)
        return bool(level > max(self._floor, self.QUIETEST) + self._margin)
