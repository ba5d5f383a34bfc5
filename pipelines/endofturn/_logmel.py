"""The log-mel picture of sound that Whisper's encoder looks at, in numpy.

As whisper/audio.py (https://github.com/openai/whisper, MIT) and transformers' WhisperFeatureExtractor (Apache-2.0)
define it: frames of 25 ms every 10 ms, centred and mirrored at both ends, the last one left out; 80 triangles of equal
area on Slaney's mel scale up to 8 kHz; decades of power, no more than 8 below the loudest, brought to about -1..1.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

RATE = 16_000  # Hz
WINDOW, STEP = 400, 160  # samples of a frame, and from one to the next
BANDS = 80
FAINTEST = 1e-10  # power of silence
RANGE = 8.0  # decades
LINEAR_UNTIL, LINEAR = 1000.0, 200.0 / 3  # Hz; and Hz a mel up to there: what lies above grows by STEEP a mel
STEEP = np.log(6.4) / 27


def log_mel(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [80, samples // 160] of sound [samples] at 16 kHz, at least a frame of it."""
    padded = np.pad(sound.astype(np.float64), WINDOW // 2, mode="reflect")  # with float32 it would cost 1 ms less of 6
    frames = sliding_window_view(padded, WINDOW)[::STEP][: len(sound) // STEP]
    spectrum = np.fft.rfft(frames * _window(), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    decades = np.log10(np.maximum(_bands() @ power.T, FAINTEST))
    return np.asarray((np.maximum(decades, decades.max() - RANGE) + 4) / 4, np.float32)


@cache
def _window() -> NDArray[np.float64]:
    """Hann's, as a period: its first sample is zero, and so would be the one after its last."""
    return np.hanning(WINDOW + 1)[:-1]


@cache
def _bands() -> NDArray[np.float64]:
    """float64 [80, 201]: how much of each frequency belongs to each band."""
    top = LINEAR_UNTIL / LINEAR + np.log(RATE / 2 / LINEAR_UNTIL) / STEEP  # mel of 8 kHz
    edges = _hertz(np.linspace(0, top, BANDS + 2))
    low, middle, high = (edges[at : at + BANDS, None] for at in range(3))
    at = np.linspace(0, RATE / 2, WINDOW // 2 + 1)[None]
    triangles = np.maximum(0, np.minimum((at - low) / (middle - low), (high - at) / (high - middle)))
    return np.asarray(triangles * 2 / (high - low), np.float64)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    straight = LINEAR_UNTIL / LINEAR
    return np.where(mel < straight, mel * LINEAR, LINEAR_UNTIL * np.exp(np.maximum(0, mel - straight) * STEEP))
