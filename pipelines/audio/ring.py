"""Samples on their way to the device: put in by one thread, taken by the device's."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

PCM = NDArray[np.int16]


class Ring:
    """Not locked: whoever shares one between threads holds a lock of its own."""

    def __init__(self, capacity: int) -> None:
        """``capacity`` (samples) is what ``room`` counts from; more is taken, never lost."""
        self.capacity = capacity
        self._parts: deque[PCM] = deque()
        self._held = 0

    def __len__(self) -> int:
        return self._held

    @property
    def room(self) -> int:
        return max(0, self.capacity - self._held)

    def put(self, pcm: PCM) -> None:
        if len(pcm):
            self._parts.append(pcm)
            self._held += len(pcm)

    def take(self, into: PCM) -> int:
        """Fill ``into`` from its beginning; returns how many samples there were. The rest of it is left as it is."""
        filled = 0
        while self._parts and filled < len(into):
            part = self._parts.popleft()
            count = min(len(part), len(into) - filled)
            into[filled : filled + count] = part[:count]
            filled += count
            if count < len(part):
                self._parts.appendleft(part[count:])
        self._held -= filled
        return filled

    def clear(self) -> None:
        self._parts.clear()
        self._held = 0
