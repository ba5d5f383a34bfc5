"""Microphone: find utterances in each stream of sound and say what was said in them."""

import logging
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from assistant import config, soundin
from assistant.config import Engine
from assistant.core import endpointer, overhearing
from assistant.core.attention import Mode
from assistant.core.attention import Settings as Attention
from assistant.core.button import Settings as Contacts
from assistant.core.button import Unmuting
from assistant.core.completeness import by_words
from assistant.core.floor import WATCHED, Floor
from assistant.dictations import Dictations
from assistant.hearing import Ear
from assistant.messages import (
    LIVE,
    AudioIn,
    Heartbeat,
    Interrupt,
    Message,
    MicrophoneState,
    Mute,
    Playback,
    PushToTalk,
    ReplyEnded,
    SpeakerIdle,
    SpeechDropped,
    Transcribe,
    Turn,
)
from assistant.press import Presses
from assistant.scribe import STUCK_S, Scribe
from assistant.service import Service, Unfit
from assistant.soundin import SoundIn
from assistant.waking import Waking
from assistant.wire import Received
from pipelines import asr, audio, endofturn, vad, wakeword
from pipelines.engine import EngineError, name_of

log = logging.getLogger(__name__)

STREAMS = 8  # at once; a further one takes the place of the one that was silent the longest
DROWNED = "the speaker is too loud in the microphone: speech does not interrupt a reply, the button does"
OPEN_S = 3.0  # how long it is waited for; what is slower is told as lost until it is there


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [microphone]."""

    roles: ClassVar[Mapping[str, str]] = {
        "asr": "asr", "vad": "vad", "endofturn": "endofturn", "wakeword": "wakeword", "button": "button",
    }  # fmt: skip

    asr: Engine = Engine("auto")
    vad: Engine = Engine("auto")
    endofturn: Engine = Engine("auto")  # beside the words; "none": they alone say how long it is waited for more
    source: Literal["bus", "device"] = "bus"  # bus: AudioIn messages alone; device: a sound card beside them
    device: str = ""  # a part of its name (assistant devices lists them); "": the default one
    rate: int = 0  # Hz asked of it; 0: its own
    endpoint: endpointer.Settings = endpointer.Settings()
    languages: tuple[str, ...] = ()  # ISO 639-1: what is recognised as another one opens no turn; empty: any
    mode: Mode = "open"  # what opens a turn: any speech, a wake word first, or only the button
    attention: Attention = Attention()  # of the mode "wakeword": how long it listens, and for what
    wakeword: Engine = Engine("auto")  # used in the mode "wakeword" alone
    button: Engine = Engine("none")
    contacts: Contacts = Contacts()  # of that button: bouncing, how long is too long, whether it unmutes
    # Speech during a reply: "auto" interrupts it while the reply's echo can be told from who speaks; "full" always;
    # "half" is ignored (the button, the keyboard and a wake word are not). What is missed: assistant bench bargein.
    duplex: Literal["auto", "half", "full"] = "auto"
    over_reply: overhearing.Settings = overhearing.Settings()


def run(service: Service, settings: Settings) -> None:
    service.listen(*WATCHED, Heartbeat)
    if settings.duplex != "half":
        service.listen(Playback)
    service.busy("loading speech recognition", STUCK_S)
    try:
        # Each stream loads a detector of its own: this one only shows that it can be.
        detector = vad.load(settings.vad.engine, settings.vad.options)
        spotter = _spotter(settings)
    except EngineError as error:
        raise Unfit(str(error)) from error

    def load() -> asr.Recognizer:
        try:
            return asr.load(settings.asr.engine, settings.asr.options)
        except EngineError as error:
            raise Unfit(str(error)) from error

    def load_detector() -> endofturn.Detector | None:
        try:
            return endofturn.load(settings.endofturn.engine, settings.endofturn.options)
        except EngineError as error:
            raise Unfit(str(error)) from error

    scribe = Scribe(load, by_words, service.wake, settings.languages, load_detector=load_detector)
    ears = Ears(service, settings, scribe, spotter)
    ears.open()  # what is said while the recognizer is still being loaded waits for it
    for received in service.messages():
        if received is not None:
            ears.take(received)
        ears.listen()
        scribe.deliver()
        if scribe.loaded and not service.ready_detail:
            engines = (scribe.recognizer, detector, scribe.melody.detector, spotter)
            service.ready(", ".join(name_of(each) for each in engines if each is not None))
            ears.say_state()
    ears.end()
    scribe.close()


class Ears:
    """All streams, and what is common to them: mute, the button, whose turn it is to speak."""

    def __init__(
        self, service: Service, settings: Settings, scribe: Scribe, spotter: wakeword.Spotter | None = None
    ) -> None:
        """``spotter``: the first stream's; further ones load their own."""
        self._spotter = spotter
        self._service, self._settings, self._scribe = service, settings, scribe
        self._floor, self._dictations = Floor(), Dictations(service.publish, scribe)
        self._pids: dict[str, float] = {}
        self._streams: dict[str, Ear] = {}  # in the order of their last sound
        self._muted = service.muted
        self._device: SoundIn | None = None
        self._presses: Presses | None = None
        self._unmuting = Unmuting(settings.contacts)
        self._button_lost = ""
        self._reply = ReplyEnded(turn=Turn(LIVE, 0), reason="stop", text="", sentences=0)  # the newest
        if settings.button.engine != "none":
            self._presses = Presses(settings.button.engine, settings.button.options, settings.contacts, service.wake)
        self._drowned = ""  # why nobody can interrupt by speaking

    def take(self, received: Received) -> None:
        now = self._service.clock()
        match received.message:
            case AudioIn() as block if not self._muted:
                self._hear(block, received.payload)
            case Transcribe() as wanted:
                self._dictations.begin(wanted, received.payload)
            case Mute(device="microphone", muted=muted):
                self._mute(muted)
            case PushToTalk() as press:
                self._button(press)
            case Playback(first_sample_at=at, levels=levels):
                for ear in self._streams.values():
                    ear.played(at, np.array(levels))
                self._notice_echo()
            case Heartbeat(figures=figures):
                self._notice_restart(received.stamp.sender, figures.get("pid", 0))
            case message:
                self._floor.fold(message, now)
                self._follow(message, now)

    def ignored(self) -> str:
        """Why speech that begins now is not for the assistant; "" if it is."""
        half = self._settings.duplex == "half" or bool(self._drowned)
        return "during a reply" if half and self.replying() else ""

    def replying(self) -> bool:
        """Whether a reply is under way that speech may interrupt."""
        return self._floor.taken(self._service.clock())

    def interrupt(self, before: int) -> None:
        """The user speaks since ``before``, ns: whatever is being answered is over."""
        if self.replying():
            self._service.publish(Interrupt(before=before))
            self._floor.fold(Interrupt(before=before), before)
            self._floor.free()

    def _follow(self, message: Message, now: int) -> None:
        """Where a reply is over, its stream listens for what follows."""
        match message:
            case ReplyEnded(turn=turn, sentences=sentences) if turn.conversation == LIVE:
                self._reply = message
                over = sentences == 0
            case SpeakerIdle(turn=turn) if turn.conversation == LIVE:
                over = True
            case _:
                return
        text = self._reply.text if self._reply.turn == turn else ""
        for ear in self._streams.values() if over else ():
            ear.replied(turn.start, text, now)

    def answered(self, turn: Turn) -> bool:
        """Whether a reply to the turn sounds or has sounded, or is over without a sound."""
        return self._floor.answered(turn)

    # --- the device ---

    def open(self) -> None:
        """Open the microphone, if one is wanted; whether that goes well is noticed in ``listen``."""
        if self._settings.source == "device" and self._device is None and not self._muted:
            self._device = SoundIn(self._settings.device, self._settings.rate, self._service.wake)
            self._service.busy("opening the microphone", OPEN_S)
            self._device.await_first(OPEN_S)
            self._device.changed()

    def end(self) -> None:
        self.close()
        if self._presses is not None:
            self._presses.close()

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def listen(self) -> None:
        """What the device has heard since the last time, and what its button said."""
        if self._presses is not None and self._presses.lost != self._button_lost:
            self._button_lost = self._presses.lost
            self.well()
        for change in self._presses.fetch() if self._presses is not None else ():
            press = PushToTalk(pressed=change.pressed, at=change.at)
            self._service.publish(press)
            self._button(press)
            if self._unmuting.wanted(change, self._muted):
                log.info("the button was held: the microphone hears again")
                self._mute(False)
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
            self._say("muted")
        elif self._device is None:
            self._say("bus")
        else:
            self._say("lost" if lost else "live", lost or self._device.name)

    def _say(self, state: Literal["live", "muted", "lost", "bus"], detail: str = "") -> None:
        self._service.publish(MicrophoneState(state=state, detail=detail))
        self.well()

    def well(self) -> None:
        """Recognition works: whether all of the microphone does is the device's to say."""
        if not self._scribe.loaded:
            return  # it is still starting
        if self._muted:
            self._service.be("ready", "muted")
        elif self._device is not None and self._device.lost:
            self._service.be("degraded", self._device.lost)
        elif self._button_lost:
            self._service.be("degraded", self._button_lost)
        elif self._drowned:
            self._service.be("ready", f"{self._service.ready_detail}; {self._drowned}")
        else:
            self._service.well()

    def _notice_echo(self) -> None:
        drowned = self._settings.duplex == "auto" and any(ear.drowned for ear in self._streams.values())
        if drowned != bool(self._drowned):
            self._drowned = DROWNED if drowned else ""
            self.well()

    # --- streams ---

    def _hear(self, block: AudioIn, payload: bytes | memoryview) -> None:
        try:
            ear = self._streams.pop(block.stream, None) or self._ear()
            self._streams[block.stream] = ear
            ear.hear(block, payload)
            self._service.figures["heard_s"] = self._service.figures.get("heard_s", 0.0) + seconds(block, payload)
        except audio.AudioError as error:
            log.warning("stream %r: %s", block.stream, error)
            return
        if block.last:
            del self._streams[block.stream]
        while len(self._streams) > STREAMS:
            self._streams.pop(next(iter(self._streams))).drop("too many streams")

    def _ear(self) -> Ear:
        detector = vad.load(self._settings.vad.engine, self._settings.vad.options)
        settings = self._settings
        spotter, self._spotter = self._spotter or _spotter(settings), None
        waking = Waking(settings.mode, settings.attention, spotter)
        return Ear(self._service, self._scribe, detector, settings.endpoint, self, waking, settings.over_reply)

    def _mute(self, muted: bool) -> None:
        self._muted = muted
        self._service.mute(muted)
        for ear in self._streams.values():
            ear.drop("muted")
        self._streams.clear()
        if muted:
            self.close()  # really: nothing of what is said reaches this process
        else:
            self.open()
        self.say_state()

    def _button(self, press: PushToTalk) -> None:
        name = press.stream or (soundin.STREAM if self._device is not None else next(reversed(self._streams), ""))
        ear = self._streams.get(name)
        if ear is None:
            if press.pressed:
                why = "muted" if self._muted else self._silence(name)
                self._service.publish(SpeechDropped(turn=Turn(LIVE, press.at), stream=name, why=why))
            return
        if press.pressed:
            self.interrupt(press.at)
        ear.press(press.at) if press.pressed else ear.release(press.at)

    def _silence(self, name: str) -> str:
        """Why nothing comes from a stream."""
        lost = self._device.lost if self._device is not None and name == soundin.STREAM else ""
        return lost or "no sound arrives"

    def _notice_restart(self, sender: str, pid: float) -> None:
        if self._pids.setdefault(sender, pid) != pid:
            self._pids[sender] = pid
            self._floor.free()


def seconds(block: AudioIn, payload: bytes | memoryview) -> float:
    """How long a block of sound lasts."""
    size = block.rate * block.channels * np.dtype(block.sample).itemsize
    return len(payload) / size if size > 0 else 0.0


def _spotter(settings: Settings) -> wakeword.Spotter | None:
    """What hears wake words in one stream, where the mode wants it. Raises EngineError."""
    if settings.mode != "wakeword":
        return None
    return wakeword.load(settings.wakeword.engine, settings.wakeword.options)
