"""Sound from a microphone: blocks with the time of their first sample, as the device's own thread hands them over."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.audio import stamps
from pipelines.audio.devices import Device, attempt, library, shut

BLOCK_MS = 20
LATENCY_S = 0.04  # asked of the device: more would delay each block, less would lose sound to a busy machine
HELD = 3000  # blocks (a minute) that wait for a reader that is busy; then the oldest go


class Block(NamedTuple):
    first_sample_at: int  # CLOCK_MONOTONIC ns
    pcm: NDArray[np.int16]  # [frames, channels]


class Capture:
    """An open microphone. ``blocks`` is for one reader; ``alarm`` is called when the device stops by itself, ``wake``
    whenever there is a block (both from the device's thread)."""

    def __init__(
        self,
        device: Device,
        rate: int = 0,
        wake: Callable[[], None] = lambda: None,
        alarm: Callable[[], None] = lambda: None,
    ) -> None:
        """``rate`` (Hz) if the device can, else its own (also for 0). Raises AudioError."""
        self.device = device
        self.calls = 0  # of the device's thread: while they come, the device lives
        self.overruns = 0  # the device lost sound because it was not fetched in time
        self.finished = threading.Event()
        self._wake, self._alarm = wake, alarm
        self._blocks: deque[Block] = deque(maxlen=HELD)
        self.rate = self.channels = 0
        self._stream = attempt(device, "input", rate, self._open)

    def _open(self, rate: int, channels: int) -> Any:
        self.rate, self.channels = rate, channels
        return library().InputStream(
            device=self.device.index,
            samplerate=rate,
            channels=channels,
            dtype="int16",
            blocksize=rate * BLOCK_MS // 1000,
            latency=LATENCY_S,
            callback=self._take,
            finished_callback=self._over,
        )

    def blocks(self) -> list[Block]:
        """What has come since the last call, oldest first."""
        taken = []
        while self._blocks:
            taken.append(self._blocks.popleft())
        return taken

    def tend(self) -> None:
        """Nothing to do beside the device's thread."""

    def close(self) -> None:
        shut(self._stream)

    def _take(self, pcm: NDArray[np.int16], frames: int, times: Any, status: Any) -> None:
        at = stamps.captured_at(time.monotonic_ns(), times.currentTime, times.inputBufferAdcTime, frames, self.rate)
        self.overruns += bool(status.input_overflow)
        self._blocks.append(Block(at, pcm.copy()))
        self.calls += 1
        self._wake()

    def _over(self) -> None:
        self.finished.set()
        self._alarm()
