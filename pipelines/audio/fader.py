"""A gain on sound that is being played, changed at any time without a click: it moves in a short ramp."""

import numpy as np
from numpy.typing import NDArray

RAMP_MS = 10  # from silence to full: too fast to be heard as a swell, too slow to be heard as a click

PCM = NDArray[np.int16]


class Fader:
    """For one stream of mono samples, in order."""

    def __init__(self, rate: int, gain: float = 1.0) -> None:
        self.gain = self.goal = gain  # amplitude: what the next sample gets, and where that is on its way to
        self._step = 1000 / (rate * RAMP_MS)  # a sample

    def apply(self, pcm: PCM) -> PCM:
        """The next samples as they are to sound, int16; the same array where nothing is to be done."""
        if self.gain == self.goal:
            return pcm if self.gain == 1.0 else _scaled(pcm, self.gain)
        way = self.goal - self.gain
        ramp = self.gain + np.sign(way) * self._step * np.arange(1, len(pcm) + 1)
        gains = np.minimum(ramp, self.goal) if way > 0 else np.maximum(ramp, self.goal)
        self.gain = float(gains[-1]) if len(gains) else self.gain
        return _scaled(pcm, gains)


def _scaled(pcm: PCM, gains: "float | NDArray[np.float64]") -> PCM:
    scaled: PCM = np.rint(pcm * gains).astype(np.int16)  # no gain is above 1
    return scaled
