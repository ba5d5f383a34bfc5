"""How loud sound is, step by step, in three bands, and how much of it is voiced: what the echo guard compares.

Bands, because a room and a small loudspeaker colour what is played, and because a voice that is drowned in one band
stands out in another. Three, because with as little as this a board's core is done in a hundredth of its time.
"""

import numpy as np
from numpy.typing import NDArray

STEP_MS = 10
MS = 1_000_000  # ns
BANDS = ((150.0, 800.0), (800.0, 2000.0), (2000.0, 5000.0))  # Hz: hum lies below, what no voice has above
SILENCE = -100.0  # dBFS told for what has no logarithm

PCM = NDArray[np.int16]
Levels = NDArray[np.float64]


class Meter:
    """One stream of mono sound. A step is looked at in a window of two, and its time is the middle of that, less half a
    step: the last 5 ms of what was fed count with what comes next."""

    def __init__(self, rate: int) -> None:
        self._rate, self._hop = rate, rate * STEP_MS // 1000
        size = 2 * self._hop
        self._window = np.hanning(size + 1)[:size]
        frequencies = np.fft.rfftfreq(size, 1 / rate)
        inside = [(frequencies >= low) & (frequencies < high) for low, high in BANDS]
        self._bands = np.array(inside, np.float64).T * 2 / (size * float(np.sum(self._window**2)) * 32768.0**2)
        self._rest = np.zeros(0, np.int16)
        self._next: int | None = None  # when the sample after those that were fed is due, ns

    def feed(self, at: int, pcm: PCM) -> tuple[int, Levels]:
        """The steps that are complete with these samples: when the first begins, ns, and float64 [steps, bands], dBFS.

        ``at``: of the first sample. Where sound is missing before it, the meter begins anew."""
        if self._next is None or abs(at - self._next) > STEP_MS * MS // 2:
            self._rest = self._rest[:0]
        sound = np.concatenate([self._rest, pcm])
        begins = at - len(self._rest) * 1_000_000_000 // self._rate
        self._next = at + len(pcm) * 1_000_000_000 // self._rate
        steps = max(0, len(sound) // self._hop - 1)
        self._rest = sound[steps * self._hop :]
        if not steps:
            return begins, np.zeros((0, len(BANDS)))
        windows = np.lib.stride_tricks.sliding_window_view(sound, 2 * self._hop)[:: self._hop][:steps]
        power = np.square(np.abs(np.fft.rfft(windows * self._window))) @ self._bands
        return begins + STEP_MS * MS // 2, 10.0 * np.log10(np.maximum(power, 10 ** (SILENCE / 10)))


LOWEST, HIGHEST = 75.0, 400.0  # Hz: of a voice's pitch, a child's included


def voicing(pcm: PCM, rate: int) -> float:
    """How periodic a piece of some 30 ms is with the pitch of a voice: 0 (a cough, a slammed door, air) … 1 (a vowel).

    The highest peak of the autocorrelation between the two pitches, for the samples above 0 lag."""
    sound = pcm - pcm.mean(dtype=np.float64)
    size = 1 << (2 * len(sound) - 1).bit_length()
    correlation = np.fft.irfft(np.square(np.abs(np.fft.rfft(sound, size))), size)[: len(sound)]
    shortest, longest = int(rate / HIGHEST), min(int(rate / LOWEST), len(sound) * 2 // 3)
    if correlation[0] <= 0 or longest <= shortest:
        return 0.0
    lags = np.arange(shortest, longest)
    shares = correlation[lags] / correlation[0] * len(sound) / (len(sound) - lags)  # fewer samples overlap
    return float(min(1.0, max(0.0, shares.max())))
