"""``assistant devices --test``: listen to the room, play a sound, and find it in what the microphone heard."""

import threading
import time
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines.audio import AudioError, chirp, level
from pipelines.audio.capture import Block, Capture
from pipelines.audio.devices import devices, find
from pipelines.audio.playback import Playback
from pipelines.audio.resample import SPEECH_RATE, Converter

FASTEST_S, SLOWEST_S = -0.25, 2.0  # between leaving and arriving, as the stamps say: negative where they are a bit off
DEAF_DBFS = -90.0  # a microphone that gives no more than this is switched off: every room is louder
BARS = 40


class Result(msgspec.Struct, kw_only=True):
    """``problem`` says what does not work, "" if nothing; None stands for what could not be measured."""

    microphone: str = ""
    speaker: str = ""
    level_dbfs: float | None = None  # of the room, RMS
    peak_dbfs: float | None = None
    delay_ms: float | None = None  # from leaving the speaker to arriving at the microphone, by the devices' stamps
    round_trip_ms: float | None = None  # from handing sound to the speaker to having it from the microphone
    sure: float | None = None  # how far the sound stood out of what was heard
    lost_blocks: int = 0
    problem: str = ""

    @property
    def works(self) -> bool:
        return not self.problem


def measure(microphone: str, speaker: str, seconds: float) -> Result:
    """``seconds`` of listening to the room, then the test sound. Raises AudioError where a device cannot be opened."""
    arrived = threading.Event()
    known = devices(fresh=True)
    ear = Capture(find(known, microphone, "input"), wake=arrived.set)
    try:
        mouth = Playback(find(known, speaker, "output"), SPEECH_RATE)
        try:
            return _measure(ear, mouth, arrived, seconds)
        finally:
            mouth.close()
    finally:
        ear.close()


def _measure(ear: Capture, mouth: Playback, arrived: threading.Event, seconds: float) -> Result:
    result = Result(microphone=ear.device.label, speaker=mouth.device.label)
    room = _listen(ear, arrived, seconds)
    if not room:
        result.problem = "the microphone gives no sound at all: is it in use, or switched off?"
        return result
    pcm = np.concatenate([block.pcm for block in room])
    result.level_dbfs, result.peak_dbfs = round(level.rms_dbfs(pcm), 1), round(level.peak_dbfs(pcm), 1)
    put_at = time.monotonic_ns()
    mouth.put(chirp.chirp(SPEECH_RATE))
    mouth.drain()
    heard = _listen(ear, arrived, chirp.SECONDS + SLOWEST_S)
    left_at, result.lost_blocks = mouth.leaves_at(0), ear.overruns
    if left_at is None:
        result.problem = "the speaker takes no sound: is it in use, or switched off?"
        return result
    _locate(result, heard, ear, put_at, left_at)
    if result.delay_ms is None:
        deaf = result.peak_dbfs <= DEAF_DBFS
        result.problem = (
            "the microphone hears nothing, not even its own noise: is it muted or switched off?"
            if deaf
            else "the test sound was not heard: turn the volume up, or check which speaker and microphone are meant"
        )
    return result


def _locate(result: Result, heard: list[Block], ear: Capture, put_at: int, left_at: int) -> None:
    if not heard:
        return
    converter = Converter(ear.rate, ear.channels)
    mono: NDArray[np.int16] = np.concatenate([*(converter.feed(block.pcm) for block in heard), converter.flush()])
    found = chirp.find(mono, SPEECH_RATE)
    if found is None:
        return
    arrived_at = heard[0].first_sample_at + found.at * 1_000_000_000 // SPEECH_RATE
    delay = (arrived_at - left_at) / 1e9
    if FASTEST_S <= delay <= SLOWEST_S:
        result.delay_ms, result.sure = round(delay * 1000, 1), round(found.sure, 1)
        result.round_trip_ms = round((arrived_at - put_at) / 1e6, 1)


def _listen(ear: Capture, arrived: threading.Event, seconds: float) -> list[Block]:
    """What comes in that time. Raises AudioError if the microphone is lost in it."""
    deadline, blocks = time.monotonic() + seconds, list[Block]()
    while (left := deadline - time.monotonic()) > 0:
        arrived.wait(left)
        arrived.clear()
        blocks += ear.blocks()
        if ear.finished.is_set():
            raise AudioError(f"the microphone {ear.device.label!r} was lost while it was tried: is it plugged in well?")
    return blocks


def told(result: Result) -> Iterator[str]:
    """The result for people."""
    yield f"microphone  {result.microphone}"
    if result.level_dbfs is not None and result.peak_dbfs is not None:
        filled = max(0, min(BARS, round((result.level_dbfs + 90) / 90 * BARS)))
        bar = "#" * filled + "." * (BARS - filled)
        yield f"  the room  [{bar}] {result.level_dbfs:.1f} dBFS, loudest {result.peak_dbfs:.1f} dBFS"
    yield f"speaker     {result.speaker}"
    if result.delay_ms is not None:
        yield f"  heard     {result.delay_ms:.1f} ms after it left the speaker"
        yield f"            {result.round_trip_ms:.1f} ms after it was handed to the sound system"
    if result.lost_blocks:
        yield f"  lost      sound {result.lost_blocks} times: this machine was too busy to fetch it"
    yield f"problem     {result.problem}" if result.problem else "both work"
