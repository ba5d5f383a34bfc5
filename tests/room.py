"""A room with a microphone's stream in it, for tests of what is heard there.

The recognizer and the detector are small ones of these tests: a sound's level is its word. Nothing waits for a clock:
time is that of the sound, and a test says when the recognizer's results arrive.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.bus import Bus
from assistant.core.completeness import by_words
from assistant.core.endpointer import Settings
from assistant.hearing import Ear
from assistant.messages import (
    AudioIn,
    Guess,
    Heard,
    Hearing,
    Interrupt,
    Message,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Turn,
    Voice,
)
from assistant.notify import Notifier
from assistant.scribe import Dictation, Said, Scribe
from assistant.service import Service
from pipelines import asr, endofturn, vad
from pipelines.asr import Recognition
from pipelines.engine import EngineError

PATIENCE_S = 60.0
FRAME = 320  # samples, 20 ms
VOCABULARY = ("what", "is", "on", "the", "table", "and", "a", "ball", "COUGH")
WORDS = {name: 1000 * (index + 1) for index, name in enumerate(VOCABULARY)}
NAMES = {level: name for name, level in WORDS.items()}
WORD_MS = 200
ALL = "what is on the table"

# Pauses are told after 200 ms, the hold is 300, 500 or 800 ms, and for 1000 ms more may follow.
ENDPOINT = Settings(hold_ms=300, hold_unsure_ms=500, hold_open_ms=800, min_speech_ms=120, pre_roll_ms=100)


class Reader:
    """A recognizer that reads the words off the sound's levels, and keeps count of what it is asked."""

    def __init__(self, guesses: bool = True) -> None:
        self.guesses, self.broken = guesses, False
        self.says: Recognition | None = None  # whatever it hears
        self.asked: list[str] = []
        self.length_ms = 0.0  # of the sound that it was asked for last
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def utterance(self, language: str = "") -> "Reading":
        return Reading(self)


class Reading:
    def __init__(self, reader: Reader) -> None:
        self._reader, self._sound = reader, np.zeros(0, np.int16)

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        self._sound = np.concatenate([self._sound, pcm])
        return None

    def so_far(self) -> Recognition | None:
        return self._read("so far") if self._reader.guesses else None

    def finish(self) -> Recognition:
        return self._read("finish")

    def _read(self, what: str) -> Recognition:
        assert self._reader.may_go_on.wait(PATIENCE_S)
        self._reader.asked += [what] if len(self._sound) else []
        self._reader.length_ms = len(self._sound) * 1000 / asr.RATE or self._reader.length_ms
        if self._reader.broken:
            raise EngineError("the reader is broken")
        if self._reader.says is not None:
            return self._reader.says
        levels = self._sound[: len(self._sound) // FRAME * FRAME : FRAME]
        words = [NAMES[int(level)] for level, _ in itertools.groupby(levels) if level in NAMES]
        if "COUGH" in words or not words:
            return Recognition(refused="not understood")
        return Recognition(text=" ".join(words), language="en")


class Loudness:
    """A detector: whatever is not silent is speech, and what follows it for as long as the hangover."""

    frame_samples = FRAME

    def __init__(self, hangover_ms: int = 0) -> None:
        self.hangover_ms = hangover_ms
        self._left = 0

    def speech(self, frame: NDArray[np.int16]) -> float:
        loud = bool(np.abs(frame).max() > 100)
        self._left = self.hangover_ms // 20 if loud else self._left - 1
        return float(loud or self._left >= 0)

    def reset(self) -> None:
        self._left = 0


class Recorded(Service):
    """A service that keeps what it told."""

    told: list[Message]
    states: list[str]
    voices: list[Voice]  # apart, since nothing may come of them
    state = ""

    def publish(self, message: Message, payload: object = None, *, once: bool = False) -> None:
        if isinstance(message, Voice):
            self.voices.append(message)
        else:
            self.told.append(message)

    def be(self, state: str, detail: str = "") -> None:
        self.state = f"{state}: {detail}" if detail else state
        self.states.append(self.state)


class Noting(Scribe):
    """A scribe that keeps what it said of the newest utterance."""

    said: list[Said]

    def dictate(
        self, deliver: Callable[[Said], None], turn: Turn | None = None, language: str = "", patient: bool = False
    ) -> Dictation:
        said: list[Said] = []

        def noted(one: Said) -> None:
            said.append(one)
            deliver(one)

        self.said = said
        return super().dictate(noted, turn, language, patient)


class Room:
    """A microphone's stream, and the house around it."""

    def __init__(
        self,
        service: Recorded,
        reader: Reader,
        detector: vad.Detector,
        endpoint: Settings = ENDPOINT,
        melody: endofturn.Detector | None = None,
    ) -> None:
        self.service, self.reader = service, reader
        self.service.told, self.service.states, self.service.voices = [], [], []
        self.busy, self.answering, self.speaking = "", False, False
        self.interrupted: list[int] = []
        self._woken = threading.Event()
        self.scribe = Noting(lambda: reader, by_words, self._woken.set, ("en", "zh"), load_detector=lambda: melody)
        self.ear = Ear(service, self.scribe, detector, endpoint, self)
        self.ms = 0

    def ignored(self) -> str:
        return self.busy

    def answered(self, turn: Turn) -> bool:
        return self.answering

    def replying(self) -> bool:
        return self.speaking

    def interrupt(self, before: int) -> None:
        self.interrupted.append(before)
        if self.speaking:
            self.speaking = False
            self.service.told.append(Interrupt(before=before))

    def well(self) -> None:
        self.service.be("ready")

    def hear(self, level: int, ms: int) -> None:
        self.play(np.full(ms // 20 * FRAME, level, np.int16))

    def play(self, pcm: NDArray[np.int16]) -> None:
        for at in range(0, len(pcm) // FRAME * FRAME, FRAME):
            block = AudioIn(stream="s", first_sample_at=self.ms * 1_000_000, rate=asr.RATE)
            self.ear.hear(block, pcm[at : at + FRAME].tobytes())
            self.ms += 20

    def say(self, words: str) -> None:
        for word in words.split():
            self.hear(WORDS[word], WORD_MS)

    def silence(self, ms: int, *, understood: bool = True) -> None:
        """Silence; by default what the recognizer has to say comes within the frame that made it be asked."""
        for _ in range(ms // 20):
            self.hear(0, 20)
            if understood:
                self.understand()

    def until(self, kind: type[Said]) -> None:
        """Something of this kind has come of the last pause; what else was asked may take as long as it likes."""
        while not any(isinstance(said, kind) for said in self.scribe.said):
            assert self._woken.wait(PATIENCE_S)
            self._woken.clear()
            self.scribe.deliver()

    def understand(self) -> None:
        """The recognizer does all that it was asked, and its results arrive."""
        done: list[Said] = []
        Scribe.dictate(self.scribe, done.append).finish()  # the thread does one thing after the other: this is the last
        while not done:
            assert self._woken.wait(PATIENCE_S)
            self._woken.clear()
            self.scribe.deliver()

    @property
    def story(self) -> list[str]:
        return [_short(message) for message in self.service.told]


def _short(message: Message) -> str:
    match message:
        case SpeechStarted(turn=turn):
            return f"started {turn.revision}"
        case Guess(turn=turn, text=text):
            return f"guess {turn.revision}: {text}"
        case SpeechEnded(turn=turn, why=why):
            return f"ended {turn.revision}: {why}"
        case Heard(turn=turn, text=text):
            return f"heard {turn.revision}: {text}"
        case SpeechDropped(turn=turn, why=why):
            return f"dropped {turn.revision}: {why}"
        case Hearing(text=text):
            return f"hearing: {text}"
    return type(message).__name__


@pytest.fixture
def enter(join: Callable[..., Bus], tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """A room with this recognizer; it is left as it was."""
    service, rooms = Recorded(join("microphone"), Notifier(), tmp_path), list[Room]()

    def one(
        guesses: bool = True,
        hangover_ms: int = 0,
        detector: vad.Detector | None = None,
        endpoint: Settings = ENDPOINT,
        melody: endofturn.Detector | None = None,
    ) -> Room:
        rooms.append(Room(service, Reader(guesses), detector or Loudness(hangover_ms), endpoint, melody))
        return rooms[-1]

    yield one
    for room in rooms:
        room.reader.may_go_on.set()
        room.scribe.close()


Enter = Callable[..., Room]
