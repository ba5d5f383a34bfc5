"""Where the speaker's samples go: one interface for a sound card (pipelines.audio.playback) and for the bus alone."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.core import loudness
from assistant.service import Service
from pipelines.audio.departures import SECOND, Departures
from pipelines.audio.fader import Fader
from pipelines.audio.keeper import Keeper
from pipelines.audio.playback import Playback

log = logging.getLogger(__name__)

PCM = NDArray[np.int16]
VOLUME = "volume"  # the file in the state directory


def keep(device: str, fallback: str, rate: int, wake: Callable[[], None], idle: Callable[[], bool]) -> Keeper[Playback]:
    """Keeps a speaker open that takes ``rate`` Hz, or while it is lost the fallback ("" none): parts of their names.

    ``wake`` is called from other threads when there is something to do; ``idle`` says that nothing plays."""
    names = [device, fallback] if fallback else [device]
    return Keeper("output", names, lambda found, alarm: Playback(found, rate, wake, alarm), wake, idle)


class Output(Protocol):
    """Takes mono samples at the voice's rate. Positions count those that were put since the last ``stop``."""

    @property
    def room(self) -> int:
        """Samples that may be put now."""

    def put(self, pcm: PCM) -> PCM:
        """Sound this after what was put before; gives it as it will sound, as far as that is known now."""

    def drain(self) -> None:
        """Nothing follows for now."""

    def left(self, now: int) -> int:
        """How many samples have left for the ear by ``now``, ns."""

    def leaves_at(self, position: int) -> int | None:
        """When the sample at this position leaves, ns; None while that is not known."""

    def fade(self, gain: float) -> None:
        """Play with this gain (amplitude) from the next block on, in a short ramp."""

    def sounding(self) -> list[tuple[int, int, PCM]]:
        """What was given to the ear since the last call, gain included: (first sample's time in ns, Hz, samples)."""

    def stop(self) -> None:
        """Fall silent: nothing that has not left is heard. What is put next sounds with the gain asked last at once."""


class BusOutput:
    """No device: time passes as if there were one, block by block, each put when the one before it is over."""

    def __init__(self, rate: int, block: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """``block``: samples."""
        self._rate, self._block, self._clock = rate, block, clock
        self._departures = Departures(rate)
        self._fader = Fader(rate)
        self._sounding: list[tuple[int, int, PCM]] = []
        self._due = 0  # when the next block begins, ns
        self._drained = True

    @property
    def room(self) -> int:
        return self._block if self._due <= self._clock() else 0

    def wait_s(self) -> float:
        """Seconds until there is room."""
        return max(0.0, (self._due - self._clock()) / SECOND)

    def put(self, pcm: PCM) -> PCM:
        if self._drained:
            self._due = max(self._due, self._clock())
        self._drained = False
        pcm = self._fader.apply(pcm)
        self._sounding.append((self._due, self._rate, pcm))
        self._departures.add(len(pcm), self._due)
        self._due += len(pcm) * SECOND // self._rate
        return pcm

    def drain(self) -> None:
        self._drained = True

    def left(self, now: int) -> int:
        return self._departures.left(now)

    def leaves_at(self, position: int) -> int | None:
        return self._departures.leaves_at(position)

    def fade(self, gain: float) -> None:
        self._fader.goal = gain

    def sounding(self) -> list[tuple[int, int, PCM]]:
        sounding, self._sounding = self._sounding, []
        return sounding

    def stop(self) -> None:
        self._departures.clear()
        self._sounding.clear()
        self._fader.gain = self._fader.goal
        self._due, self._drained = 0, True


class Level:
    """How loud the speaker is. The volume outlives the daemon, as that of any set does; being muted outlives the
    process, as with the camera and the microphone."""

    def __init__(self, service: Service) -> None:
        self._service, self._path = service, service.state_dir / VOLUME
        self._volume = self._read()

    @property
    def volume(self) -> float:
        return self._volume

    @volume.setter
    def volume(self, volume: float) -> None:
        self._volume = volume
        half = self._path.with_suffix(".half")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            half.write_text(f"{volume:g}\n")
            half.replace(self._path)
        except OSError as error:
            log.warning("the volume is not kept: %s cannot be written (%s)", self._path, error.strerror)

    @property
    def muted(self) -> bool:
        return self._service.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._service.mute(muted)

    def _read(self) -> float:
        try:
            return loudness.limited(float(self._path.read_text()))
        except FileNotFoundError:
            return loudness.FULL
        except (OSError, ValueError) as error:
            log.warning("%s cannot be used (%s); the volume is full", self._path, error)
            return loudness.FULL


def amplified(pcm: PCM, gain: float) -> PCM:
    """The samples by a factor, 0..1."""
    return pcm if gain == 1.0 else np.rint(pcm * np.float32(gain)).astype(np.int16)
