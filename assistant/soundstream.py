"""Sound that a program sends to the daemon in place of a sound card: a microphone that is always on, in real time."""

import contextlib
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from assistant.bus import Bus
from assistant.messages import AudioIn
from assistant.wire import BusError

STREAM = "replay"
BLOCK_MS = 20


class SoundStream:
    """A stream of quiet noise that never stops, into which sounds are mixed; each block is sent when it is over."""

    def __init__(self, rate: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.rate, self._clock = rate, clock
        self._samples = rate * BLOCK_MS // 1000
        # A few steps of the least significant bit, as a real microphone gives: digital silence would be another world.
        self._noise = np.random.default_rng(1).integers(-3, 4, (50, self._samples), dtype=np.int16)
        self._sounds: list[tuple[int, NDArray[np.int16]]] = []  # (first sample's number, samples)
        self._sent = 0  # blocks
        self._began = clock()

    def time(self, sample: int) -> int:
        """When a sample is captured, ns. Counted from the beginning, so that nothing drifts."""
        return self._began + sample * 1_000_000_000 // self.rate

    def wait_s(self) -> float:
        """Seconds until the next block is over and due to be sent."""
        return max(0.0, (self.time((self._sent + 1) * self._samples) - self._clock()) / 1e9)

    def play(self, pcm: NDArray[np.int16]) -> tuple[int, int]:
        """Mix a sound in from the next block on that has not begun; returns when it begins and ends, ns."""
        passed = (self._clock() - self._began) * self.rate // 1_000_000_000
        first = max(self._sent, passed // self._samples + 1) * self._samples
        self._sounds.append((first, pcm))
        return self.time(first), self.time(first + len(pcm))

    def mix(self, at: int, pcm: NDArray[np.int16]) -> None:
        """Let a sound be heard that begins at ``at``, ns; of what was sent already it is too late for."""
        first = max(0, (at - self._began) * self.rate // 1_000_000_000)
        self._sounds.append((first, pcm))

    def pump(self, bus: Bus) -> None:
        """Send the blocks that are due."""
        while self.wait_s() == 0.0:
            self._send(bus, last=False)

    def end(self, bus: Bus) -> None:
        """Say that nothing more will come."""
        self._send(bus, last=True)

    def _send(self, bus: Bus, last: bool) -> None:
        first = self._sent * self._samples
        block = AudioIn(stream=STREAM, first_sample_at=self.time(first), rate=self.rate, last=last)
        with contextlib.suppress(BusError):  # nobody listens while the microphone restarts: that sound is lost
            bus.send(block, self._block(first), timeout_s=0.0)
        self._sent += 1

    def _block(self, first: int) -> NDArray[np.int16]:
        mixed = self._noise[self._sent % len(self._noise)].astype(np.int32)
        for start, pcm in self._sounds:
            part = pcm[max(0, first - start) : max(0, first + self._samples - start)]
            offset = max(0, start - first)
            mixed[offset : offset + len(part)] += part
        self._sounds = [(start, pcm) for start, pcm in self._sounds if start + len(pcm) > first]
        block: NDArray[np.int16] = np.clip(mixed, -32768, 32767).astype(np.int16)
        return block
