"""Where a phrase ended, and each told once: for engines that believe in a phrase for a while, and know no end of it.

A network begins to believe in its phrase some tenths of a second before its end or as many after it, by voice and by
noise. Whoever then pauses ends it to the block, and a pause is waited for. Whoever speaks on in one breath leaves no
mark; then the end is told as early as it can have been, and the rest of the phrase stays before the question: the first
word after it must not be lost.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.wakeword import RATE, Detection

BLOCK = RATE // 100  # samples: levels are compared by 10 ms
CONTEXT = RATE  # samples that are looked at: the phrase, for how loud it was, and what followed it
PAUSE = 7  # blocks that are a pause; a closed "k" or "t" is shorter
SPREAD_DB = 8.0  # a voice that stands out less from what is between its sounds shows no pauses
WAIT = RATE // 10  # samples: so long after it was first believed a pause is waited for
REST = RATE // 2  # samples: what is believed again sooner is still the same


class Ends:
    """One stream's. ``latest``: samples before it was first believed that a phrase may have ended, and no more."""

    def __init__(self, latest: int) -> None:
        self._latest = latest
        self._recent = np.zeros(0, np.int16)
        self._fed = 0  # samples of the stream
        self._believed: dict[str, int] = {}  # phrase -> when it was last
        self._waiting: dict[str, tuple[int, float]] = {}  # phrase -> when it was first believed, and its best score

    def hear(self, pcm: NDArray[np.int16]) -> None:
        """The next sound, before what is believed at its end."""
        self._recent = np.concatenate([self._recent, pcm])[-CONTEXT:]
        self._fed += len(pcm)

    def believe(self, phrase: str, score: float) -> None:
        """That the phrase was said shortly before now."""
        last = self._believed.get(phrase)
        if last is None or self._fed - last > REST:
            self._waiting[phrase] = self._fed, score
        elif phrase in self._waiting:
            first, best = self._waiting[phrase]
            self._waiting[phrase] = first, max(best, score)
        self._believed[phrase] = self._fed

    def told(self) -> list[Detection]:
        """The phrases whose end is known by now, or is waited for no longer."""
        found = []
        for phrase, (first, score) in list(self._waiting.items()):
            reach = self._fed - first + self._latest
            back = pause(self._recent, reach)
            if back is not None or self._fed - first >= WAIT:
                end = max(0, self._fed - (reach if back is None else back))
                found.append(Detection(phrase, min(1.0, score), end, self._fed if back is None else end))
                del self._waiting[phrase]
        return found


def pause(pcm: NDArray[np.int16], reach: int) -> int | None:
    """Samples from the begin of a pause to the end of ``pcm`` (int16, mono, 16 kHz), the earliest in its last ``reach``
    samples; None where there is none."""
    heard = pcm.astype(np.float64)
    bright = np.diff(heard, prepend=heard[:1])  # hum and fans are low, voices less so
    blocks = bright[len(bright) % BLOCK :].reshape(-1, BLOCK)
    if not len(blocks):
        return None
    levels = 10 * np.log10(np.mean(np.square(blocks), axis=1) + 1.0)
    loud, soft = np.percentile(levels, (90, 5))
    if loud - soft < SPREAD_DB:
        return None
    quiet = levels < (loud + soft) / 2
    run = 0
    for index in range(max(0, len(levels) - reach // BLOCK), len(levels)):
        run = run + 1 if quiet[index] else 0
        if run == PAUSE:
            return (len(levels) - index - 1 + PAUSE) * BLOCK
    return None
