"""One stream of sound in, utterances out: what was said in it, and what was dropped and why."""

import logging
import time
from collections import deque
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.core import endpointer
from assistant.core.endpointer import Dropped, Ended, Endpointer, Event, Started
from assistant.core.sampleclock import SampleClock
from assistant.journal import of
from assistant.messages import (
    LIVE,
    AudioIn,
    Heard,
    Hearing,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Turn,
)
from assistant.service import Service
from pipelines import asr, vad
from pipelines.audio.resample import Converter, frames
from pipelines.engine import EngineError

log = logging.getLogger(__name__)

PCM = NDArray[np.int16]
MS = 1_000_000  # ns


class House(Protocol):
    """What all streams have in common."""

    def ignored(self) -> str:
        """Why speech that begins now is not for the assistant; "" if it is."""

    def well(self) -> None:
        """Recognition works."""


class Ear:
    """One stream of sound: any format in, utterances out."""

    def __init__(
        self,
        service: Service,
        recognizer: asr.Recognizer,
        detector: vad.Detector,
        endpoint: endpointer.Settings,
        house: House,
    ) -> None:
        self._service, self._recognizer, self._detector, self._house = service, recognizer, detector, house
        self._endpointer = Endpointer(endpoint)
        self._frame_ns = self._detector.frame_samples * 1_000_000_000 // asr.RATE
        self._clock = SampleClock(self._frame_ns)
        keep = endpoint.reach_ms * MS // self._frame_ns + 2
        self._recent: deque[tuple[int, PCM]] = deque(maxlen=keep)
        self._pending: PCM = np.zeros(0, np.int16)
        self._format: tuple[int, int] = (0, 0)
        self._converter: Converter | None = None
        self._utterance: asr.Utterance | None = None
        self._turn = Turn(LIVE, 0)
        self._name = ""
        self._ignored = ""
        self._partial = ""

    def hear(self, block: AudioIn, payload: bytes | memoryview) -> None:
        """Raises AudioError for PCM that is not what the message says."""
        self._name = block.stream
        pcm = frames(payload, block.channels, block.sample)
        gap = self._clock.block(block.first_sample_at, len(pcm) * 1_000_000_000 // max(1, block.rate))
        if self._converter is None or gap or self._format != (block.rate, block.channels):
            self._converter = Converter(block.rate, block.channels)
            self._format = (block.rate, block.channels)
            self._pending = self._pending[:0]
        self._pending = np.concatenate([self._pending, self._converter.feed(pcm)])
        size = self._detector.frame_samples
        while len(self._pending) >= size:
            frame, self._pending = self._pending[:size], self._pending[size:]
            self._frame(frame)
        if block.last:
            self._handle(self._endpointer.finish())

    def press(self, at: int) -> None:
        self._handle(self._endpointer.press(at))

    def release(self, at: int) -> None:
        self._handle(self._endpointer.release(at))

    def drop(self, why: str) -> None:
        self._handle(self._endpointer.drop(why))

    def _frame(self, frame: PCM) -> None:
        at, length = self._clock.frame()
        self._recent.append((at, frame))
        was_open = self._utterance is not None
        events = self._endpointer.frame(self._detector.speech(frame), at, length)
        if was_open and self._utterance is not None:
            self._feed(frame)
        self._handle(events)

    def _feed(self, pcm: PCM) -> None:
        assert self._utterance is not None
        try:
            text = self._utterance.feed(pcm)
        except EngineError as error:
            self._fail(error)
            return
        if text and text != self._partial:
            self._partial = text
            self._service.publish(Hearing(turn=self._turn, text=text))

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Started():
                    self._started(event)
                case Ended():
                    self._ended(event)
                case Dropped(last_sample_at=last, why=why):
                    self._utterance = None
                    self._dropped(why, last)

    def _started(self, event: Started) -> None:
        self._turn = Turn(LIVE, event.at)
        self._ignored, self._partial = self._house.ignored(), ""
        if self._ignored:
            return
        self._service.publish(SpeechStarted(turn=self._turn, stream=self._name))
        self._utterance = self._recognizer.utterance()
        for at, frame in list(self._recent):
            if at + self._frame_ns > event.audio_from:
                self._feed(frame)

    def _ended(self, event: Ended) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance is None:
            self._dropped(self._ignored or "not for the assistant", event.last_sample_at)
            return
        self._service.publish(
            SpeechEnded(turn=self._turn, stream=self._name, last_sample_at=event.last_sample_at, why=event.why)
        )
        self._service.busy("recognising speech", 120.0)
        began = time.perf_counter()
        try:
            result = utterance.finish()
        except EngineError as error:
            self._fail(error)
            result = asr.Recognition(refused=f"recognition failed: {error}")
        if not result.text:
            self._dropped(result.refused or "nothing understood", event.last_sample_at)
            return
        heard = Heard(
            turn=self._turn,
            stream=self._name,
            text=result.text,
            language=result.language,
            last_sample_at=event.last_sample_at,
            engine_ms=(time.perf_counter() - began) * 1000,
        )
        self._service.publish(heard)
        self._house.well()  # should recognition have failed before, it no longer does

    def _fail(self, error: EngineError) -> None:
        log.error("recognition failed: %s", error, extra=of(self._turn))
        self._service.be("degraded", str(error))

    def _dropped(self, why: str, last_sample_at: int) -> None:
        self._service.publish(SpeechDropped(turn=self._turn, stream=self._name, why=why, last_sample_at=last_sample_at))
