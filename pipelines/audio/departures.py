"""Which samples of an output have left for the ear by now: pure, told of each stretch when its time is known."""

from collections import deque
from typing import NamedTuple

SECOND = 1_000_000_000  # ns
KEEP_NS = 5 * SECOND  # how long what has left can still be asked for


class _Stretch(NamedTuple):
    first: int  # position of its first sample
    samples: int
    at: int  # when that leaves, ns


class Departures:
    """Positions count samples from the beginning, or from the last ``clear``."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._stretches: deque[_Stretch] = deque()
        self._end = 0

    def add(self, samples: int, at: int) -> None:
        """The next samples leave from ``at`` (ns) on."""
        self._stretches.append(_Stretch(self._end, samples, at))
        self._end += samples
        while self._stretches[0].at < at - KEEP_NS:
            self._stretches.popleft()

    def left(self, now: int) -> int:
        """How many samples have left by ``now`` (ns); the one that leaves just then is one of them."""
        for stretch in reversed(self._stretches):
            if stretch.at <= now:
                return stretch.first + min(stretch.samples, (now - stretch.at) * self._rate // SECOND + 1)
        return self._stretches[0].first if self._stretches else self._end

    def leaves_at(self, position: int) -> int | None:
        """When this sample leaves, ns; None while that is not known."""
        for stretch in reversed(self._stretches):
            if stretch.first <= position < stretch.first + stretch.samples:
                return stretch.at + (position - stretch.first) * SECOND // self._rate
        return None

    def clear(self) -> None:
        """What has not left will not; positions begin anew at 0."""
        self._stretches.clear()
        self._end = 0
