"""Sound to a speaker: a small ring that the device's thread empties; silent at once; and what has really left."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.audio import stamps
from pipelines.audio.departures import Departures
from pipelines.audio.devices import Device, attempt, library, restart, shut
from pipelines.audio.fader import Fader
from pipelines.audio.resample import Converter
from pipelines.audio.ring import Ring

BLOCK_MS = 20
LATENCY_S = 0.06  # asked of the device: what the first sample of a reply waits, and what a busy machine may be late
SOUNDING = 64  # blocks that are kept for whoever asks what sounds; more, and nobody does
RING_MS = 240  # put ahead of the device; costs nothing, because stopping empties it

PCM = NDArray[np.int16]


class Playback:
    """An open speaker, mono, fed at ``rate`` whatever the device's is. Positions count the samples that were put since
    it was opened or stopped. ``stop``, ``put`` … are for one thread; ``tend`` and ``close`` are for another."""

    def __init__(
        self,
        device: Device,
        rate: int,
        wake: Callable[[], None] = lambda: None,
        alarm: Callable[[], None] = lambda: None,
    ) -> None:
        """``wake`` is called when there is room again, ``alarm`` when ``tend`` has something to do or the device has
        stopped by itself (both from any thread). Raises AudioError."""
        self.device, self.rate = device, rate
        self.calls = 0  # of the device's thread: while they come, the device lives
        self.underruns = 0  # the device had nothing to play because it was not fed in time
        self.finished = threading.Event()
        self._wake, self._alarm = wake, alarm
        self._lock = threading.Lock()  # around what the device's thread shares
        self._flush = False  # what the device holds is to be thrown away; until then it gets nothing new
        self._latency = 0.0
        self._stream = attempt(device, "output", rate, self._open)
        self._latency = float(self._stream.latency)

    def _open(self, rate: int, channels: int) -> Any:
        self._own = rate
        self._ring = Ring(rate * RING_MS // 1000)
        self._departures = Departures(rate)
        self._fader = Fader(rate)
        self._sounding: deque[tuple[int, int, PCM]] = deque(maxlen=SOUNDING)
        self._begin()
        return library().OutputStream(
            device=self.device.index,
            samplerate=rate,
            channels=channels,
            dtype="int16",
            blocksize=rate * BLOCK_MS // 1000,
            latency=LATENCY_S,
            callback=self._give,
            finished_callback=self._over,
        )

    def _begin(self) -> None:
        self._put = self._made = 0  # samples at our rate, and what became of them at the device's
        self._base = (0, 0)  # both, where the converter began anew
        self._converter = Converter(self.rate, 1, self._own) if self._own != self.rate else None

    # --- for whoever plays ---

    @property
    def room(self) -> int:
        """Samples that may be put now."""
        with self._lock:
            return self._ring.room * self.rate // self._own

    def put(self, pcm: PCM) -> PCM:
        """Sound this after what was put before; given back as it is: the gain is that of the time when it leaves."""
        self._put += len(pcm)
        self._feed(pcm if self._converter is None else self._converter.feed(pcm))
        return pcm

    def fade(self, gain: float) -> None:
        """Play with this gain (amplitude) from the device's next block on: what waits in the ring is not too late."""
        with self._lock:
            self._fader.goal = gain

    def sounding(self) -> list[tuple[int, int, PCM]]:
        """What the device has fetched since the last call, gain included: (first sample's time in ns, Hz, samples)."""
        with self._lock:
            sounding = list(self._sounding)
            self._sounding.clear()
        return sounding

    def drain(self) -> None:
        """Nothing follows for now: what a resampler still holds back must sound too."""
        if self._converter is not None and self._base[0] != self._put and self.room >= self.rate * RING_MS // 2000:
            self._feed(self._converter.flush())
            self._base = (self._put, self._made)
            self._converter = Converter(self.rate, 1, self._own)

    def left(self, now: int) -> int:
        """How many of the samples put have left the device by ``now``, CLOCK_MONOTONIC ns."""
        with self._lock:
            own = self._departures.left(now)
        whole = self._converter is None or self._base[0] == self._put
        if whole and own >= self._made:
            return self._put
        return max(0, min(self._put, self._base[0] + (own - self._base[1]) * self.rate // self._own))

    def leaves_at(self, position: int) -> int | None:
        """When the sample at this position leaves the device, ns; None while it has not been fetched."""
        with self._lock:
            return self._departures.leaves_at(self._base[1] + (position - self._base[0]) * self._own // self.rate)

    def stop(self) -> None:
        """Fall silent: nothing that has not left is heard. Positions begin anew at 0."""
        with self._lock:
            self._ring.clear()
            self._departures.clear()
            self._sounding.clear()
            self._fader.gain = self._fader.goal
            self._begin()
            self._flush = True
        self._alarm()

    # --- for whoever keeps it open ---

    def tend(self) -> None:
        """Throw away what the device holds, if ``stop`` asked for it. Can take as long as a sound server is stuck."""
        if self._flush:
            if not restart(self._stream):
                self.finished.set()
            self._flush = False

    def close(self) -> None:
        shut(self._stream)

    # --- the device's thread ---

    def _feed(self, pcm: PCM) -> None:
        self._made += len(pcm)
        with self._lock:
            self._ring.put(pcm)

    def _give(self, out: NDArray[np.int16], frames: int, times: Any, status: Any) -> None:
        mono = np.zeros(frames, np.int16)
        with self._lock:
            got = 0 if self._flush else self._ring.take(mono)
            if got:
                now = time.monotonic_ns()
                at = stamps.leaves_at(now, times.currentTime, times.outputBufferDacTime, self._latency)
                self._departures.add(got, at)
                mono[:got] = self._fader.apply(mono[:got])
                self._sounding.append((at, self._own, mono[:got]))
        out[:] = mono[:, None]
        self.underruns += bool(status.output_underflow)
        self.calls += 1
        if got:
            self._wake()

    def _over(self) -> None:
        if not self._flush:  # else it is ``tend`` that stopped it, to start it again
            self.finished.set()
            self._alarm()
