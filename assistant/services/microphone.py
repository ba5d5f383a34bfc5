"""Microphone: find utterances in each stream of sound and say what was said in them."""

import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from assistant import config, soundin
from assistant.config import Engine
from assistant.core import endpointer
from assistant.core.endpointer import Dropped, Ended, Endpointer, Event, Started
from assistant.core.floor import WATCHED, Floor
from assistant.core.sampleclock import SampleClock
from assistant.messages import (
    LIVE,
    AudioIn,
    Heard,
    Hearing,
    Heartbeat,
    Interrupt,
    MicrophoneState,
    Mute,
    PushToTalk,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Turn,
)
from assistant.service import Service, Unfit
from assistant.soundin import SoundIn
from assistant.wire import Received
from pipelines import asr, audio, vad
from pipelines.audio.resample import Converter, frames
from pipelines.engine import EngineError, name_of

log = logging.getLogger(__name__)

PCM = NDArray[np.int16]
MS = 1_000_000  # ns
STREAMS = 8  # at once; a further one takes the place of the one that was silent the longest
OPEN_S = 10.0  # how long the start waits for it; what is slower is told as lost until it is there


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [microphone]."""

    roles: ClassVar[Mapping[str, str]] = {"asr": "asr", "vad": "vad"}

    asr: Engine = Engine("auto")
    vad: Engine = Engine("auto")
    source: Literal["bus", "device"] = "bus"  # bus: AudioIn messages alone; device: a sound card beside them
    device: str = ""  # a part of its name (assistant devices lists them); "": the default one
    rate: int = 0  # Hz asked of it; 0: its own
    endpoint: endpointer.Settings = endpointer.Settings()
    half_duplex: bool = True  # speech during a reply is ignored; the button and the keyboard are not


def run(service: Service, settings: Settings) -> None:
    service.listen(*WATCHED, Heartbeat)
    service.busy("loading speech recognition", 120.0)
    try:
        recognizer = asr.load(settings.asr.engine, settings.asr.options)
        # Each stream loads a detector of its own: this one only shows that it can be.
        detector = vad.load(settings.vad.engine, settings.vad.options)
    except EngineError as error:
        raise Unfit(str(error)) from error
    ears = Ears(service, settings, recognizer)
    ears.open()
    service.ready(f"{name_of(recognizer)}, {name_of(detector)}")
    ears.say_state()
    for received in service.messages():
        if received is not None:
            ears.take(received)
        ears.listen()
    ears.close()


class Ears:
    """All streams, and what is common to them: mute, the button, whose turn it is to speak."""

    def __init__(self, service: Service, settings: Settings, recognizer: asr.Recognizer) -> None:
        self._service, self._settings, self._recognizer = service, settings, recognizer
        self._floor = Floor()
        self._pids: dict[str, float] = {}
        self._streams: dict[str, Ear] = {}  # in the order of their last sound
        self._muted = False
        self._device: SoundIn | None = None

    def take(self, received: Received) -> None:
        now = self._service.clock()
        match received.message:
            case AudioIn() as block if not self._muted:
                self._hear(block, received.payload)
            case Mute(device="microphone", muted=muted):
                self._mute(muted)
            case PushToTalk() as button:
                self._button(button)
            case Heartbeat(figures=figures):
                self._notice_restart(received.stamp.sender, figures.get("pid", 0))
            case message:
                self._floor.fold(message, now)

    def ignored(self) -> str:
        """Why speech that begins now is not for the assistant; "" if it is."""
        taken = self._settings.half_duplex and self._floor.taken(self._service.clock())
        return "during a reply" if taken else ""

    # --- the device ---

    def open(self) -> None:
        """Open the microphone, if one is wanted; whether that goes well is noticed in ``listen``."""
        if self._settings.source == "device" and self._device is None:
            self._device = SoundIn(self._settings.device, self._settings.rate, self._service.wake)
            self._service.busy("opening the microphone", OPEN_S)
            self._device.await_first(OPEN_S)
            self._device.changed()

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def listen(self) -> None:
        """What the device has heard since the last time."""
        if self._device is None:
            return
        if self._device.changed():
            if self._device.lost and (ear := self._streams.pop(soundin.STREAM, None)):
                ear.drop("the microphone is lost")
            self.say_state()
        for block, payload in self._device.fetch():
            self._hear(block, payload)
        self._service.figures["overruns"] = self._device.overruns

    def say_state(self) -> None:
        lost = self._device.lost if self._device is not None else ""
        if self._muted:
            self._say("muted", "", "muted")
        elif self._device is None:
            self._say("bus", "", "")
        else:
            self._say("lost" if lost else "live", lost or self._device.name, lost)

    def _say(self, state: Literal["live", "muted", "lost", "bus"], detail: str, health: str) -> None:
        self._service.publish(MicrophoneState(state=state, detail=detail))
        if health:
            self._service.be("degraded" if state == "lost" else "ready", health)
        else:
            self._service.well()

    # --- streams ---

    def _hear(self, block: AudioIn, payload: bytes | memoryview) -> None:
        try:
            ear = self._streams.pop(block.stream, None) or Ear(self._service, self._settings, self._recognizer, self)
            self._streams[block.stream] = ear
            ear.hear(block, payload)
        except audio.AudioError as error:
            log.warning("stream %r: %s", block.stream, error)
            return
        if block.last:
            del self._streams[block.stream]
        while len(self._streams) > STREAMS:
            self._streams.pop(next(iter(self._streams))).drop("too many streams")

    def _mute(self, muted: bool) -> None:
        self._muted = muted
        for ear in self._streams.values():
            ear.drop("muted")
        self._streams.clear()
        if muted:
            self.close()  # really: nothing of what is said reaches this process
        else:
            self.open()
        self.say_state()

    def _button(self, button: PushToTalk) -> None:
        name = button.stream or (soundin.STREAM if self._device is not None else next(reversed(self._streams), ""))
        ear = self._streams.get(name)
        if ear is None:
            if button.pressed:
                why = "muted" if self._muted else self._silence(name)
                self._service.publish(SpeechDropped(turn=Turn(LIVE, button.at), stream=name, why=why))
            return
        if button.pressed and self._floor.taken(self._service.clock()):
            self._service.publish(Interrupt(before=button.at))
            self._floor.free()
        ear.press(button.at) if button.pressed else ear.release(button.at)

    def _silence(self, name: str) -> str:
        """Why nothing comes from a stream."""
        lost = self._device.lost if self._device is not None and name == soundin.STREAM else ""
        return lost or "no sound arrives"

    def _notice_restart(self, sender: str, pid: float) -> None:
        if self._pids.setdefault(sender, pid) != pid:
            self._pids[sender] = pid
            self._floor.free()


class Ear:
    """One stream of sound: any format in, utterances out."""

    def __init__(self, service: Service, settings: Settings, recognizer: asr.Recognizer, ears: Ears) -> None:
        self._service, self._recognizer, self._ears = service, recognizer, ears
        self._detector = vad.load(settings.vad.engine, settings.vad.options)
        self._endpointer = Endpointer(settings.endpoint)
        self._frame_ns = self._detector.frame_samples * 1_000_000_000 // asr.RATE
        self._clock = SampleClock(self._frame_ns)
        keep = settings.endpoint.reach_ms * MS // self._frame_ns + 2
        self._recent: deque[tuple[int, PCM]] = deque(maxlen=keep)
        self._pending: PCM = np.zeros(0, np.int16)
        self._format: tuple[int, int] = (0, 0)
        self._converter: Converter | None = None
        self._utterance: asr.Utterance | None = None
        self._turn = Turn(LIVE, 0)
        self._name = ""
        self._ignored = ""
        self._partial = ""
        self._failed = False  # the last time that something was to be recognised

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
        self._ignored, self._partial = self._ears.ignored(), ""
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
        if self._failed:
            self._failed = False
            self._ears.say_state()

    def _fail(self, error: EngineError) -> None:
        log.error("recognition failed: %s", error)
        self._failed = True
        self._service.be("degraded", str(error))

    def _dropped(self, why: str, last_sample_at: int) -> None:
        self._service.publish(SpeechDropped(turn=self._turn, stream=self._name, why=why, last_sample_at=last_sample_at))
