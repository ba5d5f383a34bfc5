"""Capture and playback on a real sound server: every sample once, silent at once, and what becomes of a lost device."""

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.audio import AudioError
from pipelines.audio.backoff import Backoff
from pipelines.audio.capture import Block, Capture
from pipelines.audio.devices import Kind, devices, find
from pipelines.audio.keeper import Closed, Keeper, Lost, Opened, Stream
from pipelines.audio.playback import Playback
from tests.soundserver import PATIENCE_S, SoundServer

WITHOUT_A_FAULT_S = 60  # in one piece, both ways at once
BLOCK_S = 0.02
PCM = NDArray[np.int16]
S = TypeVar("S", bound=Stream)


def noise(samples: int, seed: int = 1) -> PCM:
    """Without a zero: what is missing in a recording of it is told from silence that was put in."""
    loud = np.random.default_rng(seed).integers(1, 20_000, samples)
    return (loud * np.where(np.arange(samples) % 2, 1, -1)).astype(np.int16)


def open_capture(name: str, rate: int = 0, wake: Callable[[], None] = lambda: None) -> Capture:
    return Capture(find(devices(fresh=True), name, "input"), rate, wake)


class Hearing:
    """Reads an open microphone until what was heard is enough."""

    def __init__(self, name: str, rate: int = 0) -> None:
        self._arrived = threading.Event()
        self.capture = open_capture(name, rate, self._arrived.set)
        self.blocks: list[Block] = []

    @property
    def pcm(self) -> PCM:
        return np.concatenate([np.zeros((0, self.capture.channels), np.int16), *(b.pcm for b in self.blocks)])[:, 0]

    def until(self, holds: Callable[[PCM], bool | np.bool_], timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds(self.pcm):
            assert self._arrived.wait(max(0.0, deadline - time.monotonic())), "what was waited for was not heard"
            self._arrived.clear()
            self.blocks += self.capture.blocks()


@contextmanager
def hearing(name: str, rate: int = 0) -> Iterator[Hearing]:
    ear = Hearing(name, rate)
    try:
        ear.until(lambda pcm: len(pcm) > 0)
        yield ear
    finally:
        ear.capture.close()


class Speaking:
    """Keeps a speaker fed, from a thread as a service would be."""

    def __init__(self, playback: Playback, arrived: threading.Event) -> None:
        self.playback, self._arrived = playback, arrived

    def play(self, pcm: PCM, until: Callable[[], bool] = lambda: False, block: int = 441) -> None:
        """Put it all, as there is room, or until that holds."""
        deadline = time.monotonic() + len(pcm) / self.playback.rate + PATIENCE_S
        while len(pcm) and not until():
            assert time.monotonic() < deadline, "the speaker takes nothing"
            if self.playback.room < block:
                self._arrived.wait(0.1)
                self._arrived.clear()
                continue
            self.playback.put(pcm[:block])
            pcm = pcm[block:]

    def await_left(self, samples: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.playback.left(time.monotonic_ns()) < samples:
            assert time.monotonic() < deadline, "it was never played"
            self.playback.drain()
            self._arrived.wait(0.01)
            self._arrived.clear()


@contextmanager
def speaking(name: str, rate: int) -> Iterator[Speaking]:
    """A speaker, with the thread beside it that tends it."""
    arrived, alarm, over = threading.Event(), threading.Event(), threading.Event()
    playback = Playback(find(devices(fresh=True), name, "output"), rate, arrived.set, alarm.set)

    def tend() -> None:
        while not over.is_set():
            alarm.wait()
            alarm.clear()
            playback.tend()

    thread = threading.Thread(target=tend)
    thread.start()
    try:
        yield Speaking(playback, arrived)
    finally:
        over.set()
        alarm.set()
        thread.join()
        playback.close()


def same(heard: PCM, played: PCM) -> None:
    """All of it, once, in order; silence that a busy machine put between is not counted."""
    heard = heard[heard != 0]
    assert len(heard) == len(played), f"{len(played)} samples became {len(heard)}"
    different = np.flatnonzero(heard != played)
    assert not len(different), f"from sample {different[0]} on another one was heard"


@pytest.mark.timeout(WITHOUT_A_FAULT_S + 120)
def test_a_minute_both_ways_without_a_lost_or_repeated_sample(sound_server: SoundServer) -> None:
    said, played = noise(16_000 * WITHOUT_A_FAULT_S, 1), noise(48_000 * WITHOUT_A_FAULT_S, 2)
    problems: list[BaseException] = []

    def speak() -> None:
        try:
            with sound_server.recording(latency_ms=500) as recorder, speaking("desk_speaker", 48_000) as mouth:
                mouth.play(played, block=960)
                pcm = recorder.read_until(lambda pcm: np.count_nonzero(pcm) >= len(played))
                same(pcm, played)
        except BaseException as problem:
            problems.append(problem)

    with hearing("desk_microphone", 16_000) as ear:
        mouth = threading.Thread(target=speak)
        mouth.start()
        feeder = sound_server.feed(16_000, said, latency_ms=2000)
        ear.until(lambda pcm: len(pcm) > 16_000 * WITHOUT_A_FAULT_S, WITHOUT_A_FAULT_S + 60)
        ear.until(lambda pcm: np.count_nonzero(pcm) >= len(said), 60)
        assert feeder.wait(PATIENCE_S) == 0
        same(ear.pcm, said)
        begins = np.array([block.first_sample_at for block in ear.blocks], np.float64) / 1e9
        late = begins - begins[0] - np.arange(len(begins)) * BLOCK_S
        assert ear.capture.overruns == 0
        assert np.percentile(np.abs(late - np.median(late)), 95) < 0.06
    mouth.join()
    if problems:
        raise problems[0]


@pytest.mark.parametrize("rate", [0, 8_000, 48_000])
def test_any_rate_is_heard(rate: int, sound_server: SoundServer) -> None:
    tone = (12_000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)
    with hearing("desk_micro", rate) as ear:
        assert ear.capture.rate == (rate or 44_100)
        feeder = sound_server.feed(16_000, tone)
        ear.until(lambda pcm: np.count_nonzero(np.abs(pcm) > 3_000) > 0.6 * ear.capture.rate)
        feeder.wait(PATIENCE_S)
        loud = ear.pcm[np.abs(ear.pcm) > 3_000]
        assert 9_000 < np.abs(loud).max() < 15_000
        spectrum = np.abs(np.fft.rfft(ear.pcm.astype(float)))
        assert abs(np.argmax(spectrum) * ear.capture.rate / len(ear.pcm) - 440) < 5


def test_a_rate_that_the_device_does_not_have_is_made_of_one_that_it_has(sound_server: SoundServer) -> None:
    """A stream at another rate than the device's own: nothing of it is missing, and the count is the caller's."""
    rate = 220_500
    with sound_server.recording() as recorder, speaking("desk_speaker", rate) as mouth:
        tone = (12_000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.int16)
        mouth.play(tone[: rate // 2], block=4410)
        mouth.await_left(rate // 2)  # the resampler is emptied where nothing follows
        mouth.play(tone[rate // 2 :], block=4410)
        mouth.await_left(rate)
        pcm = recorder.read_until(lambda pcm: bool(pcm.any()) and not pcm[-24_000:].any())
        assert abs(np.count_nonzero(np.abs(pcm) > 50) / 48_000 - 1.0) < 0.02


def test_stopped_it_is_silent_within_a_block_and_knows_what_was_heard(sound_server: SoundServer) -> None:
    with sound_server.recording() as recorder, speaking("desk_speaker", 48_000) as mouth:
        playback = mouth.playback
        recorder.read_until(lambda pcm: len(pcm) > 4_800)
        mouth.play(noise(48_000 * 4), until=lambda: playback.left(time.monotonic_ns()) > 24_000, block=960)
        left = playback.left(time.monotonic_ns())
        playback.stop()
        assert playback.left(time.monotonic_ns()) == 0
        pcm = recorder.read_until(lambda pcm: bool(pcm.any()) and not pcm[-24_000:].any())
        loud, silent_from = np.count_nonzero(pcm), int(np.flatnonzero(pcm)[-1])
        assert abs(loud - left) / 48_000 < BLOCK_S + 0.02, "what was counted as heard is not what sounded"

        again = noise(4_800, 7)  # and it goes on with what comes next
        mouth.play(again, block=960)
        mouth.await_left(len(again))
        same(recorder.read_until(lambda pcm: np.count_nonzero(pcm) >= loud + len(again))[silent_from + 1 :], again)


def test_what_leaves_is_told_when_it_leaves(sound_server: SoundServer) -> None:
    with sound_server.recording(latency_ms=10) as recorder, speaking("desk_speaker", 48_000) as mouth:
        recorder.read_until(lambda pcm: len(pcm) > 9_600)
        mouth.play(noise(9_600), block=960)
        mouth.await_left(9_600)
        told = mouth.playback.leaves_at(0)
        pcm = recorder.read_until(lambda pcm: np.count_nonzero(pcm) >= 9_600)
        assert told is not None
        sounded = recorder.began + int(np.flatnonzero(pcm)[0]) * 1_000_000_000 // 48_000
        assert abs(told - sounded) < 80_000_000  # what the two ends of the server's pipes know of the time


@contextmanager
def kept(
    kind: Kind, names: list[str], idle: bool = True
) -> Iterator[Callable[..., "Opened[Playback] | Closed | Lost"]]:
    """A keeper; gives a function that waits for news of a type."""
    arrived, seen = threading.Event(), queue.SimpleQueue["Opened[Playback] | Closed | Lost"]()
    keeper: Keeper[Playback] = Keeper(
        kind,
        names,
        lambda device, alarm: Playback(device, 16_000, alarm=alarm),
        arrived.set,
        lambda: idle,
        Backoff(first_s=0.05, longest_s=0.2),
    )

    def await_news(of: type[Opened[Playback]] | type[Closed] | type[Lost]) -> "Opened[Playback] | Closed | Lost":
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for what in keeper.news():
                seen.put(what)
            while not seen.empty():
                if isinstance(what := seen.get(), of):
                    return what
            assert arrived.wait(max(0.0, deadline - time.monotonic())), f"no {of.__name__}"
            arrived.clear()

    try:
        yield await_news
    finally:
        assert keeper.close(PATIENCE_S)


def test_a_device_that_is_lost_is_opened_again(sound_server: SoundServer) -> None:
    with kept("output", ["desk_speaker"]) as await_news:
        opened = await_news(Opened)
        assert isinstance(opened, Opened)
        assert (opened.name, opened.instead) == ("desk_speaker", "")
        sound_server.stop()
        closed = await_news(Closed)
        assert isinstance(closed, Closed)
        assert "the device has stopped" in closed.why
        lost = await_news(Lost)
        assert isinstance(lost, Lost)
        assert "there is no speaker" in lost.why
        sound_server.start()
        again = await_news(Opened)
        assert isinstance(again, Opened)
        assert again.stream is not opened.stream


def test_a_server_that_is_stuck_holds_nobody_up(sound_server: SoundServer) -> None:
    with kept("output", ["desk_speaker"]) as await_news:
        await_news(Opened)
        sound_server.signal(signal.SIGSTOP)
        try:
            closed = await_news(Closed)
            assert isinstance(closed, Closed)
            assert "has not moved" in closed.why
        finally:
            sound_server.signal(signal.SIGCONT)
        await_news(Opened)


def test_another_device_stands_in(sound_server: SoundServer) -> None:
    with kept("output", ["bedroom", "kitchen_speaker"]) as await_news:
        opened = await_news(Opened)
        assert isinstance(opened, Opened)
        assert opened.name == "kitchen_speaker"
        assert opened.instead.startswith("no speaker is called 'bedroom'")


def test_without_a_server_it_is_said_and_tried_again(sound_server: SoundServer) -> None:
    sound_server.stop()
    with kept("output", ["desk_speaker"]) as await_news:
        lost = await_news(Lost)
        assert isinstance(lost, Lost)
        assert "start the sound server" in lost.why
        sound_server.start()
        await_news(Opened)


def test_a_device_that_cannot_be_opened_is_named(sound_server: SoundServer) -> None:
    known = devices(fresh=True)
    sound_server.stop()
    with pytest.raises(AudioError, match="'desk_microphone, ALSA' cannot be opened"):
        Capture(find(known, "desk_microphone", "input"))
