"""The recognition thread: its order, what is forgotten, and what becomes of a recognizer that cannot, or does not come
back."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.core.completeness import by_words
from assistant.melody import Weighed
from assistant.scribe import TAIL, Failed, Final, Guessed, Partial, Said, Scribe
from pipelines.asr import RATE, Recognition
from pipelines.engine import EngineError

PATIENCE_S = 60.0
SECOND = np.ones(RATE, np.int16)


class Slow:
    """A recognizer that waits to be let go on before each thing it does, and keeps a list of them."""

    def __init__(self, text: str = "one two three", language: str = "en") -> None:
        self.result = Recognition(text=text, language=language)
        self.did: list[str] = []
        self.steps = threading.Semaphore(0)
        self.at_work = threading.Event()

    def utterance(self, language: str = "") -> "Slow":
        return self

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        self._step(f"feed {len(pcm)}")
        return f"{len(pcm)} samples"

    def so_far(self) -> Recognition | None:
        self._step("so far")
        return self.result

    def finish(self) -> Recognition:
        self._step("finish")
        return self.result

    def _step(self, what: str) -> None:
        self.at_work.set()
        assert self.steps.acquire(timeout=PATIENCE_S)
        self.did.append(what)


class Desk:
    """A scribe and what it was heard to say."""

    def __init__(
        self,
        load: Callable[[], Slow],
        languages: tuple[str, ...] = (),
        stuck_s: float = PATIENCE_S,
        load_ear: "Callable[[], Ear | None]" = lambda: None,
    ) -> None:
        self.woken = threading.Event()
        self.said: list[Said] = []
        self.scribe = Scribe(load, by_words, self.woken.set, languages, stuck_s, load_detector=load_ear)

    def until(self, kind: type[Said], count: int = 1) -> None:
        while sum(isinstance(one, kind) for one in self.said) < count:
            assert self.woken.wait(PATIENCE_S)
            self.woken.clear()
            self.scribe.deliver()

    def until_loaded(self) -> None:
        while not self.scribe.loaded:
            assert self.woken.wait(PATIENCE_S)
            self.woken.clear()
            self.scribe.deliver()


def test_everything_is_done_in_order_and_sound_that_waits_is_taken_at_once() -> None:
    slow = Slow()
    desk = Desk(lambda: slow)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    assert slow.at_work.wait(PATIENCE_S)
    for _ in range(3):
        dictation.feed(SECOND)
    dictation.guess(1)
    dictation.feed(SECOND)
    dictation.finish()
    slow.steps.release(4)
    desk.until(Final)
    assert slow.did == ["feed 16000", "feed 48000", "feed 16000", "finish"]  # the end makes the guess needless
    assert desk.said[0] == Partial("16000 samples")
    assert desk.said[-1] == Final(slow.result)


def test_the_newest_guess_wins() -> None:
    slow = Slow()
    desk = Desk(lambda: slow)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    assert slow.at_work.wait(PATIENCE_S)
    dictation.guess(1)
    dictation.guess(2)
    slow.steps.release(2)
    desk.until(Guessed)
    assert slow.did == ["feed 16000", "so far"]
    (guess,) = (one for one in desk.said if isinstance(one, Guessed))
    assert (guess.number, guess.result) == (2, slow.result)
    assert guess.complete < 0.5  # digits, of which more may come


def test_what_is_dropped_is_not_begun_and_what_was_begun_is_not_told() -> None:
    slow = Slow()
    desk = Desk(lambda: slow)
    dropped, other = desk.scribe.dictate(desk.said.append), desk.scribe.dictate(desk.said.append)
    dropped.feed(SECOND)
    dropped.finish()
    assert slow.at_work.wait(PATIENCE_S)
    dropped.drop()
    other.finish()
    slow.steps.release(2)
    desk.until(Final)
    assert slow.did == ["feed 16000", "finish"]
    assert desk.said == [Final(slow.result)]


def test_what_is_said_while_the_recognizer_is_loaded_waits_for_it() -> None:
    slow, may_load = Slow(), threading.Event()

    def load() -> Slow:
        assert may_load.wait(PATIENCE_S)
        return slow

    desk = Desk(load)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    dictation.feed(SECOND)
    dictation.finish()
    desk.scribe.deliver()
    assert (desk.scribe.recognizer, desk.said) == (None, [])
    slow.steps.release(2)
    may_load.set()
    desk.until(Final)
    assert slow.did == ["feed 32000", "finish"]


def test_a_recognizer_that_cannot_be_loaded_or_breaks_in_its_code_ends_the_service() -> None:
    def load() -> Slow:
        raise EngineError("no model there")

    desk = Desk(load)
    with pytest.raises(EngineError, match="no model there"):
        desk.until_loaded()

    class Broken(Slow):
        def finish(self) -> Recognition:
            raise ZeroDivisionError

    desk = Desk(Broken)
    desk.scribe.dictate(desk.said.append).finish()
    with pytest.raises(ZeroDivisionError):
        desk.until(Final)


def test_a_recognizer_that_does_not_come_back_is_noticed() -> None:
    slow = Slow()
    desk = Desk(lambda: slow, stuck_s=0.0)
    desk.scribe.dictate(desk.said.append).finish()
    assert slow.at_work.wait(PATIENCE_S)
    with pytest.raises(TimeoutError, match="has not come back"):
        desk.scribe.deliver()
    slow.steps.release()


def test_a_failure_is_told_and_the_result_says_so() -> None:
    class Failing(Slow):
        def _step(self, what: str) -> None:
            raise EngineError(f"no {what}")

    desk = Desk(Failing)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    dictation.guess(7)
    desk.until(Guessed)
    dictation.finish()
    desk.until(Final)
    assert desk.said == [
        Failed("no feed 16000"),
        Failed("no so far"),
        Guessed(7, None, 0.5),
        Failed("no finish"),
        Final(Recognition(refused="recognition failed: no finish")),
    ]


@pytest.mark.parametrize(
    ("text", "language", "refused"),
    [
        ("what is this", "en", ""),
        ("what is this", "", ""),
        ("beth yw hwn", "cy", "another language: cy"),
        ("the " * 100, "en", "repetition"),
        ("……", "zh", "not understood"),
        ("", "", "not understood"),
    ],
)
def test_whatever_a_recognizer_writes_passes_one_gate(text: str, language: str, refused: str) -> None:
    slow = Slow(text, language)
    desk = Desk(lambda: slow, ("en", "zh"))
    slow.steps.release(2)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.guess(1)
    desk.until(Guessed)
    dictation.finish()
    desk.until(Final)
    wanted = Recognition(refused=refused) if refused else slow.result
    guess, final = desk.said
    assert isinstance(guess, Guessed)
    assert isinstance(final, Final)
    assert guess.result == final.result == wanted


# --- the melody, in a thread of its own ---


class Ear:
    """A detector that hears a finished turn, waits to be let go on, and keeps the lengths of what it was played."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.heard: list[int] = []
        self.at_work, self.steps = threading.Event(), threading.Semaphore(0)

    def complete(self, tail: NDArray[np.int16]) -> float:
        self.at_work.set()
        assert self.steps.acquire(timeout=PATIENCE_S)
        self.heard.append(len(tail))
        if self.error:
            raise EngineError(self.error)
        return 0.75


def listening(ear: Ear, text: str = "red lamp") -> Desk:
    """A desk whose recognizer understands this, and never waits."""
    slow = Slow(text)
    slow.steps.release(100)
    return Desk(lambda: slow, load_ear=lambda: ear)


def test_words_do_not_wait_for_the_melody_nor_the_melody_for_the_words() -> None:
    desk = listening(ear := Ear())
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    dictation.guess(7)
    dictation.listen(7)
    dictation.finish()
    desk.until(Final)
    assert not any(isinstance(one, Weighed) for one in desk.said)
    ear.steps.release()
    desk.until(Weighed)

    ear = Ear()
    desk = Desk(Slow, load_ear=lambda: ear)
    ear.steps.release()
    dictation, began = desk.scribe.dictate(desk.said.append), time.monotonic_ns()
    dictation.feed(SECOND)
    dictation.guess(7)
    dictation.listen(7)
    desk.until(Weighed)
    (weighed,) = desk.said
    assert isinstance(weighed, Weighed)
    assert (weighed.number, weighed.melody, ear.heard) == (7, 0.75, [RATE])
    assert began < weighed.at < time.monotonic_ns()
    assert 0 < weighed.engine_ms < (time.monotonic_ns() - began) / 1e6


def test_of_melodies_that_wait_the_newest_is_listened_to() -> None:
    desk = listening(ear := Ear())
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    dictation.guess(1)
    dictation.listen(1)
    assert ear.at_work.wait(PATIENCE_S)
    for number in (2, 3):
        dictation.feed(SECOND)
        dictation.guess(number)
        dictation.listen(number)
    ear.steps.release(2)
    desk.until(Weighed, 2)
    assert [one.number for one in desk.said if isinstance(one, Weighed)] == [1, 3]
    assert ear.heard == [RATE, 3 * RATE]


def test_a_detector_that_fails_is_told_and_the_words_stand() -> None:
    desk = listening(ear := Ear(error="turn.onnx does not work: no memory"))
    ear.steps.release()
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.guess(1)
    dictation.listen(1)
    desk.until(Failed)
    dictation.finish()
    desk.until(Final)
    assert Failed(ear.error) in desk.said
    assert desk.said[-1] == Final(Recognition(text="red lamp", language="en"))


def test_a_detector_that_cannot_be_loaded_ends_the_service_and_one_that_is_not_there_does_not() -> None:
    def ill() -> Ear:
        raise EngineError("turn.onnx is cut short")

    desk = Desk(Slow, load_ear=ill)
    with pytest.raises(EngineError, match=r"turn\.onnx is cut short"):
        desk.until_loaded()
    desk = Desk(Slow)
    desk.until_loaded()
    assert desk.scribe.melody.detector is None


def test_of_a_long_speech_only_the_end_is_listened_to() -> None:
    desk = listening(ear := Ear())
    ear.steps.release(100)
    dictation = desk.scribe.dictate(desk.said.append)
    for number in range(20):
        dictation.feed(SECOND)
        dictation.guess(number)
        dictation.listen(number)
        desk.until(Weighed, number + 1)
    assert ear.heard[0] == RATE
    assert ear.heard[-1] == TAIL


def test_who_is_patient_comes_after_all_others() -> None:
    slow = Slow()
    desk = Desk(lambda: slow)
    patient = desk.scribe.dictate(desk.said.append, language="de", patient=True)
    patient.feed(SECOND)
    assert slow.at_work.wait(PATIENCE_S)  # that is begun
    patient.finish()
    speech = desk.scribe.dictate(desk.said.append)
    speech.feed(SECOND[: RATE // 2])
    speech.finish()
    slow.steps.release(4)
    desk.until(Final, 2)
    assert slow.did == [f"feed {RATE}", f"feed {RATE // 2}", "finish", "finish"]
    desk.scribe.close()
