"""One stream of sound, from the first sample to what is told of it: guesses, revisions, turns that are opened again.

The recognizer and the detector are small ones of these tests: a sound's level is its word. Nothing waits for a clock:
time is that of the sound, and a test says when the recognizer's results arrive.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from assistant import saying
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
from assistant.scribe import Said, Scribe
from assistant.service import Service
from pipelines import asr, vad
from pipelines.asr import Recognition
from pipelines.audio import wav
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
        self.asked: list[str] = []
        self.length_ms = 0.0  # of the sound that it was asked for last
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def utterance(self) -> "Reading":
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
    """A service that keeps what it told: of voices apart, since nothing may come of them."""

    told: list[Message]
    voices: list[Voice]
    state = ""

    def publish(self, message: Message, payload: object = None, *, once: bool = False) -> None:
        if isinstance(message, Voice):
            self.voices.append(message)
        else:
            self.told.append(message)

    def be(self, state: str, detail: str = "") -> None:
        self.state = f"{state}: {detail}" if detail else state


class Room:
    """A microphone's stream, and the house around it."""

    def __init__(
        self, service: Recorded, reader: Reader, detector: vad.Detector, endpoint: Settings = ENDPOINT
    ) -> None:
        self.service, self.reader = service, reader
        self.service.told, self.service.voices = [], []
        self.busy, self.answering, self.speaking = "", False, False
        self.interrupted: list[int] = []
        self._woken = threading.Event()
        self.scribe = Scribe(lambda: reader, by_words, self._woken.set, ("en", "zh"))
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

    def understand(self) -> None:
        """The recognizer does all that it was asked, and its results arrive."""
        done: list[Said] = []
        self.scribe.dictate(done.append).finish()  # the thread does one thing after the other: this is the last
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
    ) -> Room:
        rooms.append(Room(service, Reader(guesses), detector or Loudness(hangover_ms), endpoint))
        return rooms[-1]

    yield one
    for room in rooms:
        room.reader.may_go_on.set()
        room.scribe.close()


Enter = Callable[..., Room]


def test_the_guess_in_the_pause_is_what_was_heard_and_nothing_is_recognised_twice(enter: Enter) -> None:
    room = enter()
    room.say(ALL)
    room.silence(280)
    assert room.story == ["started 0", f"guess 1: {ALL}"]
    room.silence(20)  # the hold of what looks complete is over
    assert room.story[2:] == ["ended 1: silence", f"heard 1: {ALL}"]
    assert room.reader.asked == ["so far"]
    guess, heard = room.service.told[1], room.service.told[-1]
    assert isinstance(guess, Guess)
    assert isinstance(heard, Heard)
    assert guess.last_sample_at == heard.last_sample_at == 1_000_000_000
    assert (heard.turn.start, heard.language) == (guess.turn.start, "en") == (0, "en")
    assert guess.complete > 0.5


def test_a_voice_is_told_of_before_it_is_certain_that_somebody_speaks(enter: Enter) -> None:
    room = enter()
    room.hear(0, 100)
    room.hear(1000, 20)
    assert room.service.voices == []  # a click
    room.hear(1000, 20)
    assert [(voice.stream, voice.at) for voice in room.service.voices] == [("s", 100_000_000)]
    assert room.story == []
    room.hear(1000, 500)
    assert len(room.service.voices) == 1
    assert room.story == ["started 0"]
    room.silence(700)
    room.hear(1000, 200)  # what goes on after a pause was looked at already
    assert len(room.service.voices) == 1


def test_what_would_not_be_for_the_assistant_is_no_voice(enter: Enter) -> None:
    room = enter()
    room.busy = "during a reply"
    room.hear(1000, 200)
    assert room.service.voices == []


def test_an_open_clause_is_waited_for_and_what_follows_replaces_the_guess(enter: Enter) -> None:
    room = enter()
    room.say("what is on the")
    room.silence(780)
    assert room.story == ["started 0", "guess 1: what is on the"]
    room.say("table")
    assert room.story[2:] == ["started 2"]
    room.silence(300)
    assert room.story[3:] == [f"guess 3: {ALL}", "ended 3: silence", f"heard 3: {ALL}"]
    assert room.reader.asked == ["so far", "so far"]
    assert len({message.turn.start for message in room.service.told if isinstance(message, Guess | Heard)}) == 1


def test_an_open_clause_that_nothing_follows_is_heard_at_last(enter: Enter) -> None:
    room = enter()
    room.say("what is on the")
    room.silence(800)
    assert room.story[-1] == "heard 1: what is on the"
    assert room.reader.asked == ["so far"]


def test_a_guess_that_comes_after_the_end_is_what_was_heard(enter: Enter) -> None:
    room = enter()
    room.say(ALL)
    room.silence(600, understood=False)
    assert room.story == ["started 0", "ended 0: silence"]
    room.understand()
    assert room.story[2:] == [f"heard 0: {ALL}"]
    assert room.reader.asked == ["so far"]


def test_a_guess_that_comes_after_speech_went_on_is_not_told(enter: Enter) -> None:
    room = enter()
    room.say("what is")
    room.silence(220, understood=False)
    room.say("on the table")
    room.understand()
    assert room.story == ["started 0"]
    room.silence(300)
    assert room.story[1:] == [f"guess 1: {ALL}", "ended 1: silence", f"heard 1: {ALL}"]


def test_a_recognizer_that_is_not_asked_on_suspicion_is_asked_once_at_the_end(enter: Enter) -> None:
    room = enter(guesses=False)
    room.say(ALL)
    room.silence(480)
    assert room.story == ["started 0"]
    room.silence(20)
    assert room.story[1:] == ["ended 0: silence", f"heard 0: {ALL}"]
    assert room.reader.asked == ["finish"]


@pytest.mark.parametrize(("guesses", "asked"), [(True, ["so far", "so far"]), (False, ["finish", "finish"])])
def test_speech_soon_after_it_was_heard_opens_the_turn_again_and_all_of_it_is_understood(
    guesses: bool, asked: list[str], enter: Enter
) -> None:
    room = enter(guesses)
    room.say(ALL)
    room.silence(1_000)
    assert room.story[-1] == f"heard {int(guesses)}: {ALL}"
    room.say("and a ball")
    room.silence(500)
    again = room.story.index(f"heard {int(guesses)}: {ALL}") + 1
    whole = f"{ALL} and a ball"
    if guesses:
        assert room.story[again:] == ["started 2", f"guess 3: {whole}", "ended 3: silence", f"heard 3: {whole}"]
    else:
        assert room.story[again:] == ["started 1", "ended 1: silence", f"heard 1: {whole}"]
    assert {message.turn.start for message in room.service.told if isinstance(message, Heard)} == {0}
    assert room.reader.asked == asked


def test_speech_between_the_end_and_what_was_heard_of_it_belongs_to_it(enter: Enter) -> None:
    room = enter(guesses=False)
    room.reader.may_go_on.clear()
    room.say(ALL)
    room.silence(600, understood=False)
    room.say("and a ball")
    room.silence(600, understood=False)
    room.reader.may_go_on.set()
    room.understand()  # it is not asked for guesses …
    room.understand()  # … and so for the whole
    assert room.story == ["started 0", "ended 0: silence", "ended 0: silence", f"heard 0: {ALL} and a ball"]


def test_what_is_being_answered_is_not_opened_again(enter: Enter) -> None:
    room = enter()
    room.say(ALL)
    room.silence(400)
    room.answering = True
    room.say("a ball")
    room.silence(500)
    assert room.story[-4:] == ["started 0", "guess 1: a ball", "ended 1: silence", "heard 1: a ball"]


def test_a_cough_after_a_question_does_not_lose_it(enter: Enter) -> None:
    room = enter()
    room.say(ALL)
    room.silence(400)
    room.say("COUGH")
    room.silence(900)
    assert room.story[-3:] == ["started 2", "ended 2: silence", f"heard 2: {ALL}"]


def test_what_makes_no_sense_is_waited_for_and_then_dropped(enter: Enter) -> None:
    room = enter()
    room.say("what COUGH")
    room.silence(780)
    assert room.story == ["started 0"]
    room.silence(20)
    assert room.story[1:] == ["ended 0: silence", "dropped 0: not understood"]
    room.say(ALL)
    room.silence(300)
    assert room.story[-1] == f"heard 1: {ALL}"  # a turn of its own


def test_a_cough_before_a_question_does_not_lose_it(enter: Enter) -> None:
    room = enter()
    room.say("COUGH")
    room.silence(600)
    room.say(ALL)
    room.silence(820)
    assert room.story == ["started 0", "ended 0: silence", f"heard 0: {ALL}"]
    assert room.reader.asked == ["so far", "so far", "finish"]


@pytest.mark.parametrize("pause_ms", [0, 220])
def test_what_is_given_up_voids_every_guess(pause_ms: int, enter: Enter) -> None:
    room = enter()
    room.say("what is")
    room.silence(pause_ms, understood=False)
    room.ear.drop("the microphone is lost")
    room.understand()
    assert room.story == ["started 0", "dropped 0: the microphone is lost"]


def test_what_is_being_recognised_is_given_up_too(enter: Enter) -> None:
    room = enter(guesses=False)
    room.say(ALL)
    room.silence(600, understood=False)
    room.ear.drop("muted")
    room.understand()
    assert room.story == ["started 0", "ended 0: silence", "dropped 0: muted"]


def test_a_press_has_no_hold_and_its_guess_stands_at_the_release(enter: Enter) -> None:
    room = enter()
    room.ear.press(0)
    room.say(ALL)
    room.silence(240)
    room.ear.release(room.ms * 1_000_000)
    assert room.story == ["started 0", f"guess 1: {ALL}", "ended 1: released", f"heard 1: {ALL}"]
    room.ear.press(room.ms * 1_000_000)
    room.say("a ball")
    room.ear.release(room.ms * 1_000_000)
    room.understand()
    assert room.story[4:] == ["started 0", "ended 0: released", "heard 0: a ball"]
    assert room.reader.asked == ["so far", "finish"]


def test_speech_that_never_ends_is_cut_and_what_follows_does_not_disturb_its_answer(enter: Enter) -> None:
    room = enter()
    while "ended 0: too long" not in room.story:
        room.hear(WORDS["ball"], 100)
    room.understand()
    assert room.story == ["started 0", "ended 0: too long", "heard 0: ball"]
    assert isinstance(heard := room.service.told[-1], Heard)
    assert heard.cut
    room.say("table")
    room.busy = "during a reply"
    room.silence(600)
    assert room.story[3:] == ["started 0", "dropped 0: during a reply"]


def test_a_recognizer_that_fails_is_told_and_the_next_question_is_heard(enter: Enter) -> None:
    room = enter()
    room.reader.broken = True
    room.say(ALL)
    room.silence(600)
    assert room.story == ["started 0", "ended 0: silence", "dropped 0: recognition failed: the reader is broken"]
    assert room.service.state == "degraded: the reader is broken"
    room.reader.broken = False
    room.say(ALL)
    room.silence(300)
    assert room.story[-1] == f"heard 1: {ALL}"
    assert room.service.state == "ready"


def test_what_was_understood_far_too_late_is_not_answered(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "STALE_S", -1.0)
    room = enter()
    room.say(ALL)
    room.silence(300)
    assert room.story[-1] == "dropped 1: understood too late to be answered"


def test_speech_during_a_reply_is_ignored(enter: Enter) -> None:
    room = enter()
    room.busy = "during a reply"
    room.say(ALL)
    room.silence(600)
    assert room.story == ["dropped 0: during a reply"]
    assert room.reader.asked == []


@pytest.mark.parametrize("hangover_ms", [0, 60, 200])
def test_the_last_sample_is_that_of_the_sound_and_not_of_the_detector(hangover_ms: int, enter: Enter) -> None:
    room = enter(hangover_ms=hangover_ms)
    room.say(ALL)
    room.silence(900)
    heard = room.service.told[-1]
    assert isinstance(heard, Heard)
    assert heard.last_sample_at == 1_000_000_000


def test_the_hold_is_counted_from_the_last_sound_and_not_from_the_detectors_last_word(enter: Enter) -> None:
    room = enter(hangover_ms=200)
    room.say(ALL)
    room.silence(300)
    assert room.story[-1] == f"heard 1: {ALL}"


def test_what_is_said_after_a_bang_is_heard_though_it_is_far_less_loud(enter: Enter) -> None:
    """A thousandth of the bang's level at most is no speech; half a second later it is again."""
    room = enter()
    room.hear(32_000, 100)
    for _ in range(40):
        room.hear(300, 100)
    assert room.story == ["started 0"]  # and it has not ended


SPEECH = Path(__file__).parent / "speech"


@pytest.mark.parametrize(("snr_db", "median_ms", "worst_ms"), [(60, 20, 100), (20, 60, 150)])
def test_the_end_of_recorded_speech_is_told_where_it_was(
    snr_db: int, median_ms: int, worst_ms: int, enter: Enter
) -> None:
    """webrtcvad alone tells it 70 to 210 ms late (median 120) in quiet."""
    random, errors = np.random.default_rng(5), list[float]()
    for path in sorted(SPEECH.rglob("*.wav"))[::4]:
        sound = wav.read(path).pcm[:, 0].astype(np.float64)
        blocks = np.square(sound[: len(sound) // 160 * 160].reshape(-1, 160)).mean(axis=1)
        until = (int(np.flatnonzero(blocks > blocks.max() * 10 ** (-35 / 10))[-1]) + 1) * 160
        sound = np.concatenate([np.zeros(asr.RATE // 2), sound, np.zeros(asr.RATE)])
        noise = random.standard_normal(len(sound)) * np.sqrt(blocks.mean()) * 10 ** (-snr_db / 20)
        room = enter(detector=vad.load("webrtcvad", {}))
        room.play(np.clip(sound + noise, -32768, 32767).astype(np.int16))
        room.ear.drop("the test is over")
        ended = next(message for message in room.service.told if isinstance(message, SpeechEnded | SpeechDropped))
        errors.append(abs(ended.last_sample_at / 1e6 - 500 - until * 1000 / asr.RATE))
    assert np.median(errors) <= median_ms
    assert max(errors) <= worst_ms


@pytest.mark.parametrize(("hiss", "kept_ms"), [(2, 160), (90, 500)])
def test_of_silence_before_the_first_sound_little_is_recognised(hiss: int, kept_ms: int, enter: Enter) -> None:
    room = enter(endpoint=msgspec.structs.replace(ENDPOINT, pre_roll_ms=500))
    room.hear(hiss, 1000)  # what is not far below the words may be a part of them
    room.say("what is")
    room.silence(300)
    assert room.story[-1] == "guess 1: what is"
    spoken = 2 * WORD_MS + ENDPOINT.guess_ms
    assert room.reader.length_ms == pytest.approx(kept_ms + spoken, abs=40)
