"""How long sound takes from the speaker to the microphone: a chirp is played and looked for in what was heard.

A chirp because it is found in noise and echo where a click is not, and to the sample.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.audio.wav import Pcm, to_float

SECONDS, LOW_HZ, HIGH_HZ = 0.4, 500.0, 5_000.0  # what a laptop's speaker and a board's microphone both can do
LEVEL = 0.4  # of full scale
SURE = 8.0  # times the correlation's usual size; noise alone stays below 5 over a few seconds


class Found(NamedTuple):
    at: int  # the sample of the recording with which it begins
    sure: float  # how far the match stands out: see SURE


def chirp(rate: int) -> NDArray[np.int16]:
    """The test sound, mono int16 at ``rate`` Hz: a tone that rises, and swells and fades so that nothing clicks."""
    time = np.arange(int(rate * SECONDS)) / rate
    high = min(HIGH_HZ, 0.4 * rate)
    phase = 2 * np.pi * (LOW_HZ * time + (high - LOW_HZ) * time**2 / (2 * SECONDS))
    return np.asarray(np.sin(phase) * np.hanning(len(time)) * LEVEL * 32767, np.int16)


def find(heard: Pcm, rate: int) -> Found | None:
    """Where the chirp is in mono sound at ``rate`` Hz; None if it is not there."""
    wanted = to_float(chirp(rate)).astype(np.float64)
    if len(heard) < len(wanted):
        return None
    size = 1 << (len(heard) + len(wanted) - 1).bit_length()
    spectrum = np.fft.rfft(to_float(heard), size) * np.conj(np.fft.rfft(wanted, size))
    match = np.abs(np.fft.irfft(spectrum, size)[: len(heard) - len(wanted) + 1])
    at, usual = int(np.argmax(match)), float(np.sqrt(np.mean(np.square(match))))
    sure = float(match[at]) / usual if usual > 0 else 0.0
    return Found(at, sure) if sure >= SURE else None
