"""How loud PCM is, in dB relative to full scale (a full-scale square wave is 0 dBFS)."""

import math

import numpy as np

from pipelines.audio.wav import Pcm, to_float

SILENCE = -120.0  # dBFS told for digital silence, which has no logarithm


def rms_dbfs(pcm: Pcm) -> float:
    """Root mean square of all samples, ``SILENCE``..0; an empty block is silence."""
    return _dbfs(float(np.sqrt(np.mean(np.square(to_float(pcm), dtype=np.float64))))) if pcm.size else SILENCE


def peak_dbfs(pcm: Pcm) -> float:
    """The largest sample, ``SILENCE``..0; 0 means that the sound may have been clipped."""
    return _dbfs(float(np.max(np.abs(to_float(pcm))))) if pcm.size else SILENCE


def _dbfs(amplitude: float) -> float:
    return max(SILENCE, 20.0 * math.log10(amplitude)) if amplitude > 0 else SILENCE
